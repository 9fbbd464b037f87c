/// No seal can be added any more. The seals have the values of Linux and FreeBSD.
#[doc(alias = "F_SEAL_SEAL")]
pub const SEAL_SEAL: i32 = 1;
/// The size cannot decrease.
#[doc(alias = "F_SEAL_SHRINK")]
pub const SEAL_SHRINK: i32 = 2;
/// The size cannot increase.
#[doc(alias = "F_SEAL_GROW")]
pub const SEAL_GROW: i32 = 4;
/// The content cannot change; refused (`EBUSY`) while somebody has it mapped to write.
#[doc(alias = "F_SEAL_WRITE")]
pub const SEAL_WRITE: i32 = 8;
/// The content changes only through what was mapped before; Linux.
#[doc(alias = "F_SEAL_FUTURE_WRITE")]
pub const SEAL_FUTURE_WRITE: i32 = 16;
