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
