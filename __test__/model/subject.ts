import type { Arbitrary, AsyncCommand } from 'fast-check'

/** What is tested: commands, a run of them, and how many runs there are by default. */
export interface Subject<M extends object, R> {
  readonly runs: number
  readonly warmUp: readonly AsyncCommand<M, R>[]
  readonly commands: readonly Arbitrary<AsyncCommand<M, R>>[]
  /** Runs the commands from the start to the end of everything. */
  run(steps: Iterable<AsyncCommand<M, R>>): Promise<void>
}
