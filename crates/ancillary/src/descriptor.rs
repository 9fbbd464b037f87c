//! What a descriptor is, and its flags.

use std::io::IsTerminal;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};

use crate::error::{check, retry};
use crate::{Error, Result, is_listening, platform};

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

/// Finds out what `fd` is.
pub fn kind(fd: BorrowedFd<'_>) -> Result<Kind> {
    let stat = fstat(fd).map_err(|errno| Error::system("fstat", errno))?;
    let format = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    Ok(match format {
        SFlag::S_IFREG => platform::regular_kind(fd, stat.st_nlink == 0),
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFIFO => Kind::Pipe,
        SFlag::S_IFSOCK if is_listening(fd).unwrap_or(false) => Kind::Listener,
        SFlag::S_IFSOCK => Kind::Socket,
        SFlag::S_IFCHR if fd.is_terminal() => Kind::Tty,
        SFlag::S_IFCHR => Kind::Char,
        SFlag::S_IFBLK => Kind::Block,
        _ => Kind::Anon,
    })
}

/// A close-on-exec copy of `fd`, never 0, 1 or 2.
#[doc(alias = "F_DUPFD_CLOEXEC")]
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fd.try_clone_to_owned().map_err(|error| Error::io("fcntl", &error))
}

/// How `fd` was opened: `O_RDONLY`, `O_WRONLY` or `O_RDWR`.
#[doc(alias = "O_ACCMODE")]
pub fn access_mode(fd: BorrowedFd<'_>) -> Result<i32> {
    let flags = retry("fcntl", || fcntl(fd, FcntlArg::F_GETFL))?;
    Ok(flags & libc::O_ACCMODE)
}

/// Whether `fd` survives `exec`.
pub fn inheritable(fd: BorrowedFd<'_>) -> Result<bool> {
    let flags = retry("fcntl", || fcntl(fd, FcntlArg::F_GETFD))?;
    Ok(!FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC))
}

/// Lets `fd` survive `exec`, or not.
#[doc(alias = "FD_CLOEXEC")]
pub fn set_inheritable(fd: BorrowedFd<'_>, inheritable: bool) -> Result<()> {
    let flags = retry("fcntl", || fcntl(fd, FcntlArg::F_GETFD))?;
    let mut flags = FdFlag::from_bits_retain(flags);
    flags.set(FdFlag::FD_CLOEXEC, !inheritable);
    retry("fcntl", || fcntl(fd, FcntlArg::F_SETFD(flags)))?;
    Ok(())
}

/// Sets `O_NONBLOCK`, for everyone who shares the open file.
#[doc(alias = "O_NONBLOCK")]
pub fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> Result<()> {
    let value = libc::c_int::from(nonblocking);
    // One system call, where fcntl takes two.
    // SAFETY: FIONBIO reads one int.
    check("ioctl", unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &value) })?;
    Ok(())
}

/// Whether the number is an open descriptor of this process.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD takes no pointer, and any number may be asked about.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_ok()
}
