//! Blocking waits of a thread that has to end.

use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fdwire_system::interrupt::install;
use fdwire_system::{Deadline, Errno, Error, Interrupt, Readiness, poll, poll_set, wait_set};
use nix::unistd::{pipe, read, write};

#[derive(Debug)]
struct Pipe {
    reader: Option<OwnedFd>,
    end: Arc<AtomicBool>,
    asked: Cell<usize>,
}

impl Interrupt for Pipe {
    fn wake_up(&self) -> Option<BorrowedFd<'_>> {
        self.reader.as_ref().map(AsFd::as_fd)
    }

    fn clear(&self) {
        if let Some(reader) = &self.reader {
            read(reader, &mut [0; 8]).expect("what woke it");
        }
    }

    fn must_end(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.end.load(Ordering::SeqCst)
    }
}

fn interrupted_by(reader: Option<OwnedFd>, end: &Arc<AtomicBool>) -> Rc<Pipe> {
    let interrupt = Rc::new(Pipe {
        reader,
        end: end.clone(),
        asked: Cell::new(0),
    });
    install(Some(interrupt.clone()));
    interrupt
}

fn canceled(syscall: &'static str) -> Error {
    Error::system(syscall, Errno::ECANCELED)
}

#[test]
fn a_wait_without_a_timeout_ends_when_its_thread_is_told_to() {
    let (silent, _writer) = pipe().unwrap();
    let (reader, wake) = pipe().unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let waiting = {
        let end = end.clone();
        std::thread::spawn(move || {
            interrupted_by(Some(reader), &end);
            poll(silent.as_fd(), Readiness::READABLE, None)
        })
    };
    end.store(true, Ordering::SeqCst);
    write(&wake, b"x").unwrap();
    assert_eq!(waiting.join().unwrap(), Err(canceled("poll")));
}

#[test]
fn a_wake_up_that_ends_nothing_is_consumed_and_the_wait_goes_on() {
    let (silent, writer) = pipe().unwrap();
    let (reader, wake) = pipe().unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let interrupt = interrupted_by(Some(reader), &end);
    write(&wake, b"x").unwrap();
    let nothing = poll(silent.as_fd(), Readiness::READABLE, Some(Duration::from_millis(1)));
    assert_eq!(nothing, Ok(Readiness::default()));
    assert_eq!(interrupt.asked.get(), 1);
    write(&writer, b"y").unwrap();
    assert_eq!(poll(silent.as_fd(), Readiness::READABLE, None), Ok(Readiness::READABLE));
    assert_eq!(interrupt.asked.get(), 1);
}

#[test]
fn a_wait_that_nothing_can_wake_asks_now_and_then() {
    let (silent, _writer) = pipe().unwrap();
    let end = Arc::new(AtomicBool::new(true));
    let interrupt = interrupted_by(None, &end);
    assert_eq!(poll(silent.as_fd(), Readiness::READABLE, None), Err(canceled("poll")));
    let waited = wait_set("epoll_wait", silent.as_fd(), Deadline::Never, |_| Ok(0));
    assert_eq!(waited, Err(canceled("epoll_wait")));
    assert_eq!(interrupt.asked.get(), 2);
}

#[test]
fn what_does_not_wait_asks_nobody() {
    let (silent, _writer) = pipe().unwrap();
    let (reader, wake) = pipe().unwrap();
    let interrupt = interrupted_by(Some(reader), &Arc::new(AtomicBool::new(true)));
    write(&wake, b"x").unwrap();
    let nothing = poll(silent.as_fd(), Readiness::READABLE, Some(Duration::ZERO));
    assert_eq!(nothing, Ok(Readiness::default()));
    let deadline = Deadline::after(Some(Duration::ZERO));
    assert_eq!(wait_set("kevent", silent.as_fd(), deadline, |_| Ok(0)), Ok(0));
    assert_eq!(interrupt.asked.get(), 0);
}

#[test]
fn a_wait_of_another_call_sleeps_in_poll_beside_the_wake_up() {
    let (set, writer) = pipe().unwrap();
    let (reader, wake) = pipe().unwrap();
    let end = Arc::new(AtomicBool::new(false));
    interrupted_by(Some(reader), &end);
    write(&writer, b"x").unwrap();
    let mut calls = 0;
    let count = wait_set("epoll_wait", set.as_fd(), Deadline::Never, |timeout| {
        assert_eq!(timeout, Some(Duration::ZERO));
        calls += 1;
        Ok(usize::from(calls == 2))
    });
    assert_eq!((count, calls), (Ok(1), 2));

    end.store(true, Ordering::SeqCst);
    read(&set, &mut [0]).unwrap();
    write(&wake, b"x").unwrap();
    let count = wait_set("epoll_wait", set.as_fd(), Deadline::Never, |_| Ok(0));
    assert_eq!(count, Err(canceled("epoll_wait")));
}

#[test]
fn a_set_is_answered_beside_a_wake_up() {
    let (one, writer) = pipe().unwrap();
    let (reader, _wake) = pipe().unwrap();
    interrupted_by(Some(reader), &Arc::new(AtomicBool::new(false)));
    write(&writer, b"x").unwrap();
    let entry = |fd: i32| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let mut set = [entry(one.as_raw_fd()), entry(1_000_000)];
    assert_eq!(poll_set(&mut set, Deadline::Never), Ok(2));
    assert_eq!(set.map(|entry| entry.revents), [libc::POLLIN, libc::POLLNVAL]);
}
