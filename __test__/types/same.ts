type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Takes a value of exactly the type. */
export declare function same<Expected>(): <Actual>(
  value: Actual,
  ...mismatch: Same<Expected, Actual> extends true ? [] : [never]
) => void
