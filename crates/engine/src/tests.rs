//! A connection over a scripted transport.

use proptest::prelude::*;

use crate::scripted::{receive, send};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 6 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn each_message_is_received_whole_and_in_order_or_told_as_lost(tape in prop::collection::vec(any::<u8>(), 0..150)) {
        receive(&tape);
    }

    #[test]
    fn each_message_is_sent_whole_and_in_order(tape in prop::collection::vec(any::<u8>(), 0..100)) {
        send(&tape);
    }
}

mod meetings {
    use fdwire_ancillary::Errno;
    use fdwire_framing::Header;
    use fdwire_multiplexer::{Event, Token};

    use crate::connection::{Connection, Message, Slots, Wait};
    use crate::outcome::{Error, Place};
    use crate::scripted::{Loan, Script, Unit};
    use crate::settings::Settings;
    use crate::shared::Shared;

    const SIZE: usize = 20_000;

    fn connection(script: &Script) -> Connection<Script, Loan> {
        let settings = Settings {
            max_message_size: 1 << 20,
            read_ahead: true,
            acknowledge: false,
            no_delay: false,
        };
        Connection::new(script.clone(), Token(1), settings)
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [Header::encode(body.len() as u64).as_bytes(), body].concat()
    }

    fn message(memory: &Loan) -> Option<Message<Loan>> {
        Some(Message {
            memory: memory.clone(),
            range: 0..SIZE,
        })
    }

    /// What the reactor tells of a peer that is gone.
    const GONE: Event = Event {
        token: Token(1),
        readable: true,
        read_closed: true,
        writable: true,
    };

    #[test]
    fn the_end_is_told_once_to_who_watches_it() {
        let script = Script::new();
        let shared = Shared::without_reactor();
        let mut receiver = connection(&script);
        assert_eq!(receiver.watch_end(&shared), Ok(false));
        let data = Event {
            read_closed: false,
            ..GONE
        };
        assert!(!receiver.ready(&shared, data).gone);
        assert!(receiver.ready(&shared, GONE).gone);
        assert!(!receiver.ready(&shared, GONE).gone);
        assert_eq!(receiver.watch_end(&shared), Ok(true));
    }

    #[test]
    fn the_end_is_not_told_to_who_does_not_watch_it() {
        let script = Script::new();
        let shared = Shared::without_reactor();
        let mut receiver = connection(&script);
        assert!(!receiver.ready(&shared, GONE).gone);
        assert_eq!(receiver.watch_end(&shared), Ok(true));
    }

    // All that was queued failed, and the first message was cut off.
    #[test]
    fn a_queued_message_leaves_although_the_memory_of_a_later_one_is_gone() {
        let script = Script::new();
        let shared = Shared::without_reactor();
        let mut sender = connection(&script);
        let (first, second) = (Loan::of(vec![1; SIZE]), Loan::of(vec![2; SIZE]));
        script.take(0);
        assert_eq!(sender.send(&shared, message(&first), &[], false).result, Ok(1));
        assert_eq!(sender.send(&shared, message(&second), &[], false).result, Ok(1));
        second.vanish();
        let event = Event {
            token: Token(1),
            readable: false,
            read_closed: false,
            writable: true,
        };
        assert!(sender.ready(&shared, event).writable);
        let whole = framed(&[1; SIZE]);
        assert_eq!(script.output().0[..whole.len()], whole);
        let outcome = sender.sent();
        assert_eq!(outcome.result, Err(Error::system("sendmsg", Errno::EFAULT)));
        assert!(outcome.written >= whole.len() as u64);
    }

    // It was said to be in memory that the later receive does not know.
    #[test]
    fn a_message_begun_in_the_memory_of_one_who_is_gone_comes_to_the_next() {
        let script = Script::new();
        let shared = Shared::without_reactor();
        let mut receiver = connection(&script);
        let bytes: Vec<u8> = (0..SIZE).map(|index| index as u8).collect();
        let wire = framed(&bytes);
        script.push(Unit {
            bytes: wire[..SIZE / 2].to_vec(),
            ..Unit::default()
        });
        let target = Loan::new(SIZE, true);
        let outcome = receiver.receive_into(&shared, target.clone(), Wait::Reported, None);
        assert_eq!(outcome.result, Err(Error::WouldBlock));
        script.push(Unit {
            bytes: wire[SIZE / 2..].to_vec(),
            ..Unit::default()
        });
        receiver.ready(
            &shared,
            Event {
                token: Token(1),
                readable: true,
                read_closed: false,
                writable: false,
            },
        );
        let mut lengths = [0; 4];
        let mut receive = |offer| {
            let slots = Slots {
                memory: &mut [],
                lengths: &mut lengths,
            };
            receiver.receive(&shared, slots, u64::MAX, Wait::Reported, offer)
        };
        let length = SIZE as u64;
        assert_eq!(receive(None).result, Err(Error::NeedMemory { length }));
        let memory = Loan::new(SIZE, true);
        let outcome = receive(Some(memory.clone()));
        assert!(matches!(outcome.place, Place::Offered), "{outcome:?}");
        assert_eq!(memory.contents(), Some(bytes));
    }
}
