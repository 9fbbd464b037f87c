/// What a descriptor refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A pipe or FIFO.
    Pipe,
    /// A socket that does not listen.
    Socket,
    /// A listening socket.
    Listener,
    /// A terminal.
    Tty,
    /// Another character device.
    Char,
    /// A block device.
    Block,
    /// Memory from `memfd_create`.
    Memfd,
    /// What has no file type: eventfd, epoll, timerfd, signalfd, pidfd, inotify.
    Anon,
}

impl Kind {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Pipe => "pipe",
            Kind::Socket => "socket",
            Kind::Listener => "listener",
            Kind::Tty => "tty",
            Kind::Char => "char",
            Kind::Block => "block",
            Kind::Memfd => "memfd",
            Kind::Anon => "anon",
        }
    }
}
