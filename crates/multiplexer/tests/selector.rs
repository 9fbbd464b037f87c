//! `Selector` as users see it, whatever it stands on.
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, but not in what they call

use std::fs::File;
use std::os::fd::{AsFd, RawFd};
use std::time::{Duration, Instant};

use fdwire_multiplexer::{
    EVENT_RDHUP, EVENT_READ, EVENT_WRITE, Event, Interest, Options, Reactor, RegularFiles, Selector, Token,
};
use nix::errno::Errno;
use util::{NOW, at, drain, fill, inheritable, number, pair, readable, receive, send};

mod util;

const LEVEL: Options = Options {
    edge: false,
    oneshot: false,
    exclusive: false,
    priority: false,
    rdhup: false,
};
const BOTH: u32 = EVENT_READ | EVENT_WRITE;

fn selector() -> Selector {
    Selector::new(RegularFiles::Refuse).unwrap()
}

fn ready(selector: &mut Selector) -> Vec<(RawFd, u32)> {
    let mut ready = selector.wait(NOW).unwrap();
    ready.sort_unstable();
    ready
}

fn poll(reactor: &mut Reactor) -> Vec<Token> {
    let mut events: Vec<Event> = Vec::new();
    reactor.poll(&mut events).unwrap();
    events.iter().map(|event| event.token).collect()
}

#[test]
fn level_reports_what_is_and_only_what_was_asked() {
    let mut selector = selector();
    let (near, far) = pair();
    let fd = number(&near);
    selector.register(fd, EVENT_READ, LEVEL).unwrap();
    assert_eq!(ready(&mut selector), []);
    send(&far);
    assert_eq!(ready(&mut selector), [(fd, EVENT_READ)]);
    assert_eq!(ready(&mut selector), [(fd, EVENT_READ)]);
    selector.modify(fd, BOTH, LEVEL).unwrap();
    assert_eq!(ready(&mut selector), [(fd, BOTH)]);
    receive(&near);
    assert_eq!(ready(&mut selector), [(fd, EVENT_WRITE)]);
    fill(&near);
    assert_eq!(ready(&mut selector), []);
    drain(&far);
    assert_eq!(ready(&mut selector), [(fd, EVENT_WRITE)]);
    selector.unregister(fd).unwrap();
    assert_eq!(ready(&mut selector), []);
}

#[test]
fn many_descriptors_come_at_once() {
    let mut selector = selector();
    let pairs: Vec<_> = (0..50).map(|_| pair()).collect();
    for (near, far) in &pairs {
        selector.register(number(near), BOTH, LEVEL).unwrap();
        send(far);
    }
    let mut expected: Vec<_> = pairs.iter().map(|(near, _)| (number(near), BOTH)).collect();
    expected.sort_unstable();
    assert_eq!(ready(&mut selector), expected);
}

#[test]
fn a_lost_peer_is_all_that_was_asked_for() {
    let mut selector = selector();
    let (near, far) = pair();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let fd = number(&near);
    selector.register(fd, BOTH, LEVEL).unwrap();
    selector.register(number(&writer), EVENT_WRITE, LEVEL).unwrap();
    drop((far, reader));
    let mut expected = [(fd, BOTH), (number(&writer), EVENT_WRITE)];
    expected.sort_unstable();
    assert_eq!(ready(&mut selector), expected);
    selector.modify(fd, EVENT_WRITE, LEVEL).unwrap();
    assert!(ready(&mut selector).contains(&(fd, EVENT_WRITE)));
    selector.modify(fd, EVENT_READ, LEVEL).unwrap();
    assert!(ready(&mut selector).contains(&(fd, EVENT_READ)));
}

#[test]
fn the_peers_end_is_reported_where_asked() {
    let mut selector = selector();
    let (near, far) = pair();
    let rdhup = Options { rdhup: true, ..LEVEL };
    selector.register(number(&near), 0, rdhup).unwrap();
    send(&far);
    assert_eq!(ready(&mut selector), []);
    far.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_RDHUP)]);
    selector.modify(number(&near), EVENT_READ, rdhup).unwrap();
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ | EVENT_RDHUP)]);
}

#[test]
fn edge_reports_changes() {
    let mut selector = selector();
    let (near, far) = pair();
    selector
        .register(number(&near), EVENT_READ, Options { edge: true, ..LEVEL })
        .unwrap();
    send(&far);
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ)]);
    assert_eq!(ready(&mut selector), []);
    send(&far);
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ)]);
    selector.modify(number(&near), EVENT_READ, LEVEL).unwrap();
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ)]);
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ)]);
}

#[test]
fn oneshot_reports_once_for_both_directions_until_modified() {
    let mut selector = selector();
    let (near, far) = pair();
    let oneshot = Options { oneshot: true, ..LEVEL };
    selector.register(number(&near), BOTH, oneshot).unwrap();
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_WRITE)]);
    send(&far);
    assert_eq!(ready(&mut selector), []);
    selector.modify(number(&near), BOTH, oneshot).unwrap();
    assert_eq!(ready(&mut selector), [(number(&near), BOTH)]);
    drop(far);
    assert_eq!(ready(&mut selector), []);
}

#[test]
fn exclusive_can_be_modified_like_the_rest() {
    let mut selector = selector();
    let (near, far) = pair();
    let exclusive = Options {
        exclusive: true,
        ..LEVEL
    };
    selector.register(number(&near), EVENT_READ, exclusive).unwrap();
    send(&far);
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ)]);
    selector.modify(number(&near), BOTH, exclusive).unwrap();
    assert_eq!(ready(&mut selector), [(number(&near), BOTH)]);
    selector.modify(number(&near), EVENT_WRITE, LEVEL).unwrap();
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_WRITE)]);
}

#[test]
fn bad_arguments_and_unknown_descriptors_are_refused() {
    let mut selector = selector();
    let (near, _far) = pair();
    let fd = number(&near);
    assert_eq!(selector.register(fd, 0, LEVEL).unwrap_err().errno(), Errno::EINVAL);
    assert_eq!(selector.register(fd, 16, LEVEL).unwrap_err().errno(), Errno::EINVAL);
    assert_eq!(
        selector.register(-1, EVENT_READ, LEVEL).unwrap_err().errno(),
        Errno::EBADF
    );
    assert_eq!(
        selector.register(RawFd::MAX, EVENT_READ, LEVEL).unwrap_err().errno(),
        Errno::EBADF
    );
    assert_eq!(
        selector.modify(fd, EVENT_READ, LEVEL).unwrap_err().errno(),
        Errno::ENOENT
    );
    assert_eq!(selector.unregister(fd).unwrap_err().errno(), Errno::ENOENT);
    selector.register(fd, EVENT_WRITE, LEVEL).unwrap();
    assert_eq!(
        selector.register(fd, EVENT_READ, LEVEL).unwrap_err().errno(),
        Errno::EEXIST
    );
    assert_eq!(selector.modify(fd, 0, LEVEL).unwrap_err().errno(), Errno::EINVAL);
    assert_eq!(ready(&mut selector), [(fd, EVENT_WRITE)]);
}

#[test]
fn a_descriptor_closed_while_registered_can_be_unregistered_and_replaced() {
    let mut selector = selector();
    let (near, far) = pair();
    let fd = at(430, &near);
    drop(near);
    selector.register(430, EVENT_READ, LEVEL).unwrap();
    drop(fd);
    send_is_lost(&far);
    assert_eq!(ready(&mut selector), []);
    selector.unregister(430).unwrap();

    let (near, far) = pair();
    let fd = at(430, &near);
    selector.register(430, EVENT_READ, LEVEL).unwrap();
    drop((fd, near, far));
    let (near, far) = pair();
    let _fd = at(430, &near);
    selector.register(430, EVENT_READ, LEVEL).unwrap();
    assert_eq!(ready(&mut selector), []);
    send(&far);
    assert_eq!(ready(&mut selector), [(430, EVENT_READ)]);
}

fn send_is_lost(mut stream: &std::os::unix::net::UnixStream) {
    std::io::Write::write(&mut stream, b"x").unwrap_err();
}

#[test]
fn events_of_a_closed_descriptor_are_not_its_successors() {
    let mut selector = selector();
    let (kept, kept_far) = pair();
    let old = at(440, &kept);
    selector.register(440, EVENT_READ, LEVEL).unwrap();
    send(&kept_far);
    drop(old);

    // The socket lives on in `kept`, and is readable; what now has the number is not.
    let (near, far) = pair();
    let _new = at(440, &near);
    selector.register(440, EVENT_READ, LEVEL).unwrap();
    assert_eq!(ready(&mut selector), []);
    send(&far);
    assert_eq!(ready(&mut selector), [(440, EVENT_READ)]);
}

#[test]
fn a_closed_descriptor_whose_file_lives_on_does_not_keep_the_selector_awake() {
    let mut selector = selector();
    let mut reactor = Reactor::new().unwrap();
    let (kept, kept_far) = pair();
    let (near, far) = pair();
    let (used, used_far) = pair();
    let old = at(450, &kept);
    selector.register(450, EVENT_READ, LEVEL).unwrap();
    selector
        .register(number(&near), EVENT_READ, Options { edge: true, ..LEVEL })
        .unwrap();
    selector
        .register(number(&used), EVENT_READ, Options { oneshot: true, ..LEVEL })
        .unwrap();
    send(&used_far);
    assert_eq!(ready(&mut selector), [(number(&used), EVENT_READ)]);
    let fd = number(&selector.as_fd());
    reactor.arm(selector.as_fd(), Token(1), Interest::Read).unwrap();

    drop(old);
    selector.unregister(450).unwrap();
    send(&kept_far);
    let timeout = Duration::from_millis(10);
    let start = Instant::now();
    assert_eq!(selector.wait(Some(timeout)).unwrap(), []);
    assert!(start.elapsed() >= timeout);
    assert!(!readable(&selector));
    assert_eq!(number(&selector.as_fd()), fd);
    assert!(!inheritable(&selector));
    poll(&mut reactor);

    // What is registered still is, with its options, and so is the selector once it is armed again.
    reactor.arm(selector.as_fd(), Token(1), Interest::Read).unwrap();
    assert_eq!(poll(&mut reactor), []);
    send(&far);
    assert_eq!(poll(&mut reactor), [Token(1)]);
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ)]);
    assert_eq!(ready(&mut selector), []);
    drop(used_far);
    assert_eq!(ready(&mut selector), []);
    selector.modify(number(&used), EVENT_READ, LEVEL).unwrap();
    assert_eq!(ready(&mut selector), [(number(&used), EVENT_READ)]);
}

#[test]
fn a_stale_event_does_not_hide_a_live_one() {
    let mut selector = selector();
    let (near, far) = pair();
    selector.register(number(&near), EVENT_READ, LEVEL).unwrap();
    let kept: Vec<_> = (460..470)
        .map(|fd| {
            let (kept, kept_far) = pair();
            send(&kept_far);
            let old = at(fd, &kept);
            selector.register(fd, EVENT_READ, LEVEL).unwrap();
            drop(old);
            selector.unregister(fd).unwrap();
            (kept, kept_far)
        })
        .collect();
    send(&far);
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ)]);
    drop(kept);
}

#[test]
fn armed_in_the_reactor_it_reports_again_while_something_is_ready() {
    let mut selector = selector();
    let mut reactor = Reactor::new().unwrap();
    let (near, far) = pair();
    selector.register(number(&near), EVENT_READ, LEVEL).unwrap();
    reactor.arm(selector.as_fd(), Token(1), Interest::Read).unwrap();
    assert_eq!(poll(&mut reactor), []);
    send(&far);
    assert!(readable(&reactor));
    assert_eq!(poll(&mut reactor), [Token(1)]);
    reactor.arm(selector.as_fd(), Token(1), Interest::Read).unwrap();
    assert_eq!(poll(&mut reactor), [Token(1)]);
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_READ)]);
    receive(&near);
    reactor.arm(selector.as_fd(), Token(1), Interest::Read).unwrap();
    assert_eq!(poll(&mut reactor), []);
}

#[test]
fn regular_files_are_refused_or_always_ready() {
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let fd = number(&file);
    assert_eq!(
        selector().register(fd, EVENT_READ, LEVEL).unwrap_err().errno(),
        Errno::EPERM
    );

    let mut selector = Selector::new(RegularFiles::AlwaysReady).unwrap();
    selector.register(fd, EVENT_READ, LEVEL).unwrap();
    assert_eq!(
        selector.register(fd, EVENT_READ, LEVEL).unwrap_err().errno(),
        Errno::EEXIST
    );
    assert_eq!(selector.wait(None).unwrap(), [(fd, EVENT_READ)]);
    selector.modify(fd, BOTH, Options { oneshot: true, ..LEVEL }).unwrap();
    let (near, _far) = pair();
    selector.register(number(&near), EVENT_WRITE, LEVEL).unwrap();
    let mut expected = [(fd, BOTH), (number(&near), EVENT_WRITE)];
    expected.sort_unstable();
    assert_eq!(ready(&mut selector), expected);
    assert_eq!(ready(&mut selector), [(number(&near), EVENT_WRITE)]);
    selector
        .modify(fd, EVENT_READ, Options { edge: true, ..LEVEL })
        .unwrap();
    selector.unregister(number(&near)).unwrap();
    assert_eq!(ready(&mut selector), [(fd, EVENT_READ)]);
    assert_eq!(ready(&mut selector), []);
    selector.unregister(fd).unwrap();
    assert_eq!(selector.unregister(fd).unwrap_err().errno(), Errno::ENOENT);
}

#[test]
fn an_empty_selector_waits_out_its_time() {
    let timeout = Duration::from_micros(10_300);
    let start = Instant::now();
    assert_eq!(selector().wait(Some(timeout)).unwrap(), []);
    assert!(start.elapsed() >= timeout);
}

#[test]
fn its_descriptor_is_close_on_exec() {
    assert!(!inheritable(selector()));
}
