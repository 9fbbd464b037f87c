/// Input, end of file, or an error to be had.
pub const EVENT_READ: u32 = 1;
/// Room for output, or an error to be had.
pub const EVENT_WRITE: u32 = 2;
/// Urgent data; only with [`Options::priority`].
pub const EVENT_PRIORITY: u32 = 4;
/// The peer will send no more; only with [`Options::rdhup`].
pub const EVENT_RDHUP: u32 = 8;

/// How one descriptor is watched. Level-triggered if nothing is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Report changes only, instead of what is.
    pub edge: bool,
    /// Report once, then nothing until [`Selector::modify`].
    pub oneshot: bool,
    /// Of several processes watching the same file, wake one. The kernel refuses it (`EINVAL`) with any other option
    /// but `edge`. kqueue has no such thing and ignores it.
    pub exclusive: bool,
    /// Also report [`EVENT_PRIORITY`]. Not on kqueue: [`Error::Unsupported`].
    pub priority: bool,
    /// Also report [`EVENT_RDHUP`].
    pub rdhup: bool,
}

/// What registering a file does that the system cannot watch because it never blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RegularFiles {
    /// It fails with `EPERM`.
    #[default]
    Refuse,
    /// It is always ready, for reading and writing.
    AlwaysReady,
}
