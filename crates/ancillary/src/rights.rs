//! Descriptors that travel with bytes (`SCM_RIGHTS`).

/// Most descriptors one message can carry (Linux's `SCM_MAX_FD`, kept everywhere).
pub const MAX_FDS: usize = 253;

/// Which byte of a read the descriptors that came with it belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The first: a read begins with the write that carried descriptors (macOS, BSD).
    FirstByte,
    /// The last: a read ends with the write that carried descriptors (Linux).
    LastByte,
}
