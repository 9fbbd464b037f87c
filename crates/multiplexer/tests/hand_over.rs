//! The two threads of a hand-over, in every order that a memory model allows: `scripts/loom.sh`.
#![cfg(loom)]

use std::collections::VecDeque;

use fdwire_multiplexer::HandOver;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A level-triggered descriptor with an interrupt beside it.
#[derive(Default)]
struct Descriptor {
    ready: bool,
    interrupted: bool,
    closed: bool,
}

/// What the two threads share besides the hand-over.
#[derive(Default)]
struct World {
    descriptor: Mutex<Descriptor>,
    changed: Condvar,
    /// The handling thread's event loop: wake-ups that it has not come to.
    queue: Mutex<VecDeque<()>>,
    woken: Condvar,
}

impl World {
    fn wait(&self) -> bool {
        let mut descriptor = self.descriptor.lock().unwrap();
        loop {
            assert!(!descriptor.closed, "the descriptor is watched after it was closed");
            if descriptor.interrupted {
                return false;
            }
            if descriptor.ready {
                return true;
            }
            descriptor = self.changed.wait(descriptor).unwrap();
        }
    }

    fn change(&self, change: impl FnOnce(&mut Descriptor)) {
        change(&mut self.descriptor.lock().unwrap());
        self.changed.notify_all();
    }

    fn wake(&self) {
        let mut queue = self.queue.lock().unwrap();
        assert!(queue.is_empty(), "woken while it has not come to the last events");
        queue.push_back(());
        self.woken.notify_one();
    }

    fn next_wake(&self) {
        let mut queue = self.queue.lock().unwrap();
        while queue.pop_front().is_none() {
            queue = self.woken.wait(queue).unwrap();
        }
    }
}

fn watch(world: &Arc<World>, hand_over: &Arc<HandOver>) -> thread::JoinHandle<()> {
    let (world, hand_over) = (world.clone(), hand_over.clone());
    thread::spawn(move || hand_over.watch(|| world.wait(), || world.wake()))
}

/// As the driver does when the environment goes away.
fn close(world: &World, hand_over: &HandOver, watcher: thread::JoinHandle<()>) {
    hand_over.close();
    world.change(|descriptor| descriptor.interrupted = true);
    watcher.join().unwrap();
    world.change(|descriptor| descriptor.closed = true);
}

#[test]
fn every_event_is_handled() {
    loom::model(|| {
        let (world, hand_over) = (Arc::new(World::default()), Arc::new(HandOver::new()));
        let watcher = watch(&world, &hand_over);
        for _ in 0..2 {
            world.change(|descriptor| descriptor.ready = true);
            // Never returns where the wake-up is lost.
            world.next_wake();
            world.change(|descriptor| descriptor.ready = false);
            hand_over.handled();
        }
        close(&world, &hand_over, watcher);
    });
}

#[test]
fn an_event_of_another_thread_is_handled_once_it_is_there() {
    loom::model(|| {
        let (world, hand_over) = (Arc::new(World::default()), Arc::new(HandOver::new()));
        let watcher = watch(&world, &hand_over);
        let peer = {
            let world = world.clone();
            thread::spawn(move || world.change(|descriptor| descriptor.ready = true))
        };
        world.next_wake();
        world.change(|descriptor| descriptor.ready = false);
        hand_over.handled();
        peer.join().unwrap();
        close(&world, &hand_over, watcher);
    });
}

#[test]
fn it_ends_whoever_has_the_move() {
    loom::model(|| {
        let (world, hand_over) = (Arc::new(World::default()), Arc::new(HandOver::new()));
        let watcher = watch(&world, &hand_over);
        // It waits, or has woken us, or is about to.
        world.change(|descriptor| descriptor.ready = true);
        close(&world, &hand_over, watcher);
        // A wake-up that was on its way comes too late, and is handled all the same.
        hand_over.handled();
    });
}
