//! Asking changes nothing: however often a decoder is asked what stands at the boundary, it says the same and hands out the
//! same, records that are refused included.

use fdwire_framing::{Decoder, Error, Frame};
use proptest::prelude::*;

/// A read: bytes, how many descriptors came, and whether it ended there by itself.
type Read = (Vec<u8>, usize, bool);

fn read() -> impl Strategy<Value = Read> {
    let byte = prop_oneof![4 => Just(0u8), 2 => 1..4u8, 1 => Just(b'A'), 1 => any::<u8>()];
    let bytes = prop::collection::vec(byte, 1..8);
    (bytes, prop_oneof![2 => Just(0), 1 => 1..4usize], any::<bool>())
}

#[derive(Debug, PartialEq)]
enum Taken {
    Message(Vec<u8>, Vec<u32>),
    Refused(Error),
    Acknowledged(usize),
    Records(usize),
    Over(Error),
}

/// Asks `times` times before each thing is done.
fn run(reads: &[Read], due: usize, times: usize) -> Vec<Taken> {
    let mut decoder = Decoder::new();
    let mut fds = 0..;
    let mut taken = Vec::new();
    for _ in 0..due {
        decoder.expect_acknowledgement();
    }
    for (bytes, count, exact) in reads {
        decoder.feed(bytes);
        decoder.attach(decoder.end() - 1, fds.by_ref().take(*count).collect(), *exact);
        loop {
            let acknowledged = decoder.take_acknowledgements();
            if acknowledged > 0 {
                taken.push(Taken::Acknowledged(acknowledged));
            }
            let said = decoder.peek();
            for _ in 0..times {
                assert_eq!(decoder.peek(), said);
                assert_eq!(decoder.missing().err(), said.err());
                assert_eq!(decoder.take_acknowledgements(), 0);
            }
            let records = decoder.take_arrived_records();
            if records > 0 {
                taken.push(Taken::Records(records));
            }
            match said {
                Ok(Some(Frame {
                    body_len,
                    complete: true,
                })) => {
                    let mut body = vec![0; body_len as usize];
                    let fds = decoder.take(&mut body);
                    taken.push(Taken::Message(body, fds));
                }
                Ok(_) => break,
                Err(error @ Error::DescriptorCount { .. }) => {
                    assert_eq!(decoder.skip_refused(), Some(error));
                    taken.push(Taken::Refused(error));
                }
                Err(error) => {
                    decoder.refuse_all();
                    assert_eq!((decoder.buffered(), decoder.unclaimed()), (0, 0));
                    taken.push(Taken::Over(error));
                    return taken;
                }
            }
        }
    }
    taken
}

proptest! {
    #[test]
    fn asking_changes_nothing(reads in prop::collection::vec(read(), 0..12), due in 0..3usize) {
        prop_assert_eq!(run(&reads, due, 0), run(&reads, due, 3));
    }
}
