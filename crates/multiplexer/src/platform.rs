//! What differs between operating systems, all of it: the rest of the crate has no `cfg` of its own.
//! Where a mechanism is missing, its stand-in is a type without values whose constructors fail.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
))]
pub(crate) mod kq;
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
)))]
#[path = "platform/kq_elsewhere.rs"]
pub(crate) mod kq;
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
))]
mod kqueue;
// On Linux it is compiled for its test only.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
#[cfg_attr(any(target_os = "linux", target_os = "android"), allow(dead_code))]
mod no_epoll;
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
)))]
mod no_kqueue;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use epoll::Epoll;
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
))]
pub(crate) use kqueue::Kqueue;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use no_epoll::Epoll;
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "openbsd"
)))]
pub(crate) use no_kqueue::Kqueue;

/// What readiness stands on: chosen here, and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Native {
    /// epoll(7)
    Epoll,
    /// kqueue(2)
    Kqueue,
}

/// On this system.
pub(crate) const NATIVE: Native = if cfg!(any(target_os = "linux", target_os = "android")) {
    Native::Epoll
} else {
    Native::Kqueue
};

impl Native {
    /// The calls behind the reactor, for its errors: one that makes it, one that changes it, one that waits, one that makes
    /// what wakes it.
    pub(crate) const fn calls(self) -> Calls {
        match self {
            Native::Epoll => Calls {
                create: "epoll_create1",
                control: "epoll_ctl",
                wait: "epoll_wait",
                waker: "eventfd",
            },
            Native::Kqueue => Calls {
                create: "kqueue",
                control: "kevent",
                wait: "kevent",
                waker: "kevent",
            },
        }
    }
}

/// Names of system calls.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) create: &'static str,
    pub(crate) control: &'static str,
    pub(crate) wait: &'static str,
    pub(crate) waker: &'static str,
}

/// The masks `poll(2)` has here.
pub(crate) const POLL_CONSTANTS: &[(&str, i16)] = &[
    ("POLLIN", libc::POLLIN),
    ("POLLPRI", libc::POLLPRI),
    ("POLLOUT", libc::POLLOUT),
    ("POLLERR", libc::POLLERR),
    ("POLLHUP", libc::POLLHUP),
    ("POLLNVAL", libc::POLLNVAL),
    ("POLLRDNORM", libc::POLLRDNORM),
    ("POLLRDBAND", libc::POLLRDBAND),
    ("POLLWRNORM", libc::POLLWRNORM),
    ("POLLWRBAND", libc::POLLWRBAND),
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    ("POLLRDHUP", libc::POLLRDHUP),
    // The libc crate does not name it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    ("POLLMSG", 0x400),
];

#[cfg(test)]
mod tests {
    use super::*;
    use fdwire_system::Error;

    #[test]
    fn a_missing_epoll_fails_when_it_is_made() {
        assert_eq!(no_epoll::Epoll::new().unwrap_err(), Error::Unsupported("epoll"));
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        assert_eq!(
            no_epoll::Epoll::from_fd(reader).unwrap_err(),
            Error::Unsupported("epoll")
        );
    }
}
