//! What stands at a boundary, case by case; `stream.rs` has whole streams.

use fdwire_framing::{Decoder, Error, Frame, Header};
use std::rc::Rc;

fn frame(body: &[u8]) -> Vec<u8> {
    [Header::encode(body.len() as u64).as_bytes(), body].concat()
}

/// Feeds `bytes` with `fds` on the last of them.
fn feed<F>(decoder: &mut Decoder<F>, bytes: &[u8], fds: Vec<F>, exact: bool) {
    decoder.feed(bytes);
    decoder.attach(decoder.end() - 1, fds, exact);
}

fn complete(body_len: u64) -> Result<Option<Frame>, Error> {
    Ok(Some(Frame {
        body_len,
        complete: true,
    }))
}

#[test]
fn a_frame_is_seen_from_its_header_on() {
    let mut decoder: Decoder<u32> = Decoder::new();
    assert_eq!(decoder.peek(), Ok(None));
    assert_eq!(decoder.missing(), Ok(4));
    decoder.feed(&[0, 0, 0]);
    assert_eq!(decoder.peek(), Ok(None));
    assert_eq!(decoder.missing(), Ok(1));
    decoder.feed(&[2]);
    assert_eq!(
        decoder.peek(),
        Ok(Some(Frame {
            body_len: 2,
            complete: false
        }))
    );
    assert_eq!(decoder.missing(), Ok(2));
    decoder.feed(b"hi");
    assert_eq!(decoder.peek(), complete(2));
    assert_eq!(decoder.missing(), Ok(0));
    let mut out = [0; 3];
    assert!(decoder.take(&mut out).is_empty());
    assert_eq!(&out, b"hi\0");
    assert_eq!((decoder.buffered(), decoder.end()), (0, 6));
}

#[test]
fn the_long_header_is_missed_byte_by_byte() {
    let mut decoder: Decoder<u32> = Decoder::new();
    let bytes = [[0xff; 4].as_slice(), &0x8000_0000_u64.to_be_bytes()].concat();
    for (fed, byte) in bytes.iter().enumerate() {
        assert_eq!(decoder.missing(), Ok(if fed < 4 { 4 - fed } else { 12 - fed } as u64));
        decoder.feed(&[*byte]);
    }
    assert_eq!(decoder.missing(), Ok(0x8000_0000));
    assert_eq!(
        decoder.peek(),
        Ok(Some(Frame {
            body_len: 0x8000_0000,
            complete: false
        }))
    );
}

#[test]
fn an_announced_length_of_any_size_is_only_a_number() {
    let mut decoder: Decoder<u32> = Decoder::new();
    decoder.feed(Header::encode(u64::MAX).as_bytes());
    assert_eq!(
        decoder.peek(),
        Ok(Some(Frame {
            body_len: u64::MAX,
            complete: false
        }))
    );
    assert!(decoder.missing().unwrap() >= u64::MAX - 12);
    decoder.begin_body();
    decoder.feed(b"abc");
    assert_eq!(decoder.fill(&mut [0; 10]), 3);
    assert_eq!(decoder.missing(), Ok(u64::MAX - 3));
    assert!(decoder.end_of_stream());
}

#[test]
fn a_negative_header_repeats_behind_what_is_sound() {
    let mut decoder: Decoder<u32> = Decoder::new();
    decoder.feed(&frame(b"fine"));
    decoder.feed(&(-2_i32).to_be_bytes());
    assert_eq!(decoder.peek(), complete(4));
    decoder.take(&mut [0; 4]);
    for _ in 0..2 {
        assert_eq!(decoder.peek(), Err(Error::NegativeLength(-2)));
        assert_eq!(decoder.missing(), Err(Error::NegativeLength(-2)));
    }
    assert!(decoder.end_of_stream());
}

#[test]
fn a_message_has_the_descriptors_of_its_records_and_then_of_its_bytes() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &[1], vec![10], true);
    feed(&mut decoder, &[2], vec![11, 12], true);
    let bytes = frame(b"body");
    feed(&mut decoder, &bytes[..2], vec![13], true);
    feed(&mut decoder, &bytes[2..], vec![14], true);
    feed(&mut decoder, &[1], vec![20], true);
    assert_eq!(decoder.unclaimed(), 6);
    assert_eq!(decoder.peek(), complete(4));
    assert_eq!(decoder.take(&mut [0; 4]), [10, 11, 12, 13, 14]);
    assert_eq!(decoder.unclaimed(), 1);
    assert_eq!(decoder.peek(), Ok(None));
    assert_eq!(decoder.missing(), Ok(4));
}

#[test]
fn the_byte_of_a_record_is_the_number_modulo_256_or_0() {
    for (count, byte) in [(1, 1), (253, 253), (256, 0), (300, 44), (1, 0), (253, 0)] {
        let mut decoder = Decoder::new();
        feed(&mut decoder, &[byte], vec![7; count], true);
        decoder.feed(&frame(b""));
        assert_eq!(decoder.peek(), complete(0), "{count}");
        assert_eq!(decoder.take(&mut []).len(), count);
    }
}

#[test]
fn a_wrong_record_is_refused_until_it_is_skipped_and_its_descriptors_dropped() {
    let fd = Rc::new(());
    let mut decoder = Decoder::new();
    feed(&mut decoder, &[1], vec![Rc::clone(&fd)], true);
    feed(&mut decoder, &[3], vec![Rc::clone(&fd), Rc::clone(&fd)], true);
    decoder.feed(&frame(b"next"));
    let refused = Error::DescriptorCount {
        announced: 3,
        received: 2,
    };
    for _ in 0..2 {
        assert_eq!(decoder.peek(), Err(refused));
        assert_eq!(decoder.missing(), Err(refused));
        assert_eq!(decoder.take_acknowledgements(), 0);
    }
    assert_eq!((Rc::strong_count(&fd), decoder.unclaimed()), (4, 3));
    assert_eq!(decoder.skip_refused(), Some(refused));
    assert_eq!(Rc::strong_count(&fd), 1);
    assert_eq!(decoder.skip_refused(), None);
    assert_eq!(decoder.peek(), complete(4));
    assert!(decoder.take(&mut [0; 4]).is_empty());
    assert_eq!(decoder.take_arrived_records(), 2);
}

#[test]
fn a_wrong_record_behind_a_frame_is_refused_when_that_is_taken() {
    let mut decoder = Decoder::new();
    decoder.feed(&frame(b"first"));
    feed(&mut decoder, &[9], vec![1], true);
    decoder.feed(&frame(b"next"));
    assert_eq!(decoder.peek(), complete(5));
    assert_eq!(decoder.skip_refused(), None);
    assert!(decoder.take(&mut [0; 5]).is_empty());
    assert_eq!(decoder.take_arrived_records(), 0);
    for _ in 0..2 {
        assert!(decoder.peek().is_err());
    }
    assert_eq!(decoder.take_arrived_records(), 1);
    assert!(decoder.skip_refused().is_some());
    assert_eq!(decoder.take_arrived_records(), 0);
    assert_eq!(decoder.peek(), complete(4));
}

#[test]
fn a_stream_that_breaks_the_rules_is_dropped_with_all_its_descriptors() {
    let fd = Rc::new(());
    let mut decoder = Decoder::new();
    for _ in 0..4 {
        feed(&mut decoder, &[253], vec![Rc::clone(&fd); 253], true);
    }
    feed(&mut decoder, &frame(b"body")[..6], vec![Rc::clone(&fd)], true);
    assert_eq!(decoder.unclaimed(), 4 * 253 + 1);
    decoder.peek().unwrap();
    decoder.begin_body();
    decoder.refuse_all();
    assert_eq!(Rc::strong_count(&fd), 1);
    assert_eq!(
        (decoder.buffered(), decoder.unclaimed(), decoder.in_body()),
        (0, 0, false)
    );
    assert_eq!(decoder.peek(), Ok(None));
}

#[test]
fn what_was_read_ahead_elsewhere_goes_on_here() {
    let mut here = Decoder::new();
    here.feed(&frame(b"first"));
    feed(&mut here, &[1], vec![5], true);
    feed(&mut here, &frame(b"second"), vec![6], false);
    here.expect_acknowledgement();
    let snapshot = here.snapshot().unwrap();
    let tags = snapshot
        .tags
        .iter()
        .map(|&(offset, fds, exact)| (offset, fds.to_vec(), exact));
    let mut there = Decoder::new();
    let restored = there.restore(snapshot.bytes, tags.collect(), snapshot.acknowledgements_due);
    assert_eq!(restored, Ok(()));
    assert_eq!(there.peek(), complete(5));
    assert!(there.take(&mut [0; 5]).is_empty());
    assert_eq!(there.peek(), complete(6));
    assert_eq!(there.take(&mut [0; 6]), [5, 6]);
    there.feed(b"A");
    assert_eq!(there.take_acknowledgements(), 1);
}

#[test]
fn what_is_said_to_have_been_read_ahead_is_refused_where_it_cannot_have_been() {
    for offsets in [[1, 0].as_slice(), &[2, 2], &[0, 3], &[u64::MAX]] {
        let fd = Rc::new(());
        let mut decoder = Decoder::new();
        let tags = offsets.iter().map(|&offset| (offset, vec![Rc::clone(&fd)], true));
        let refused = decoder.restore(&[0; 3], tags.collect(), 7);
        assert!(matches!(refused, Err(Error::MisplacedDescriptors(_))), "{offsets:?}");
        assert_eq!(Rc::strong_count(&fd), 1);
        assert!(decoder.is_clear());
    }
}

#[test]
fn a_tag_that_is_not_exact_needs_the_byte_to_tell_a_record_from_a_header() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &[2], vec![1, 2], false);
    let bytes = frame(b"x");
    feed(&mut decoder, &bytes[..1], vec![3], false);
    decoder.feed(&bytes[1..]);
    assert_eq!(decoder.peek(), complete(1));
    assert_eq!(decoder.take(&mut [0]), [1, 2, 3]);
}

#[test]
fn a_record_is_taken_byte_by_byte_whatever_it_is() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &[9], vec![1], true);
    decoder.feed(b"z");
    assert_eq!(decoder.take_record(), Some((9, vec![1])));
    assert_eq!(decoder.take_record(), Some((b'z', vec![])));
    assert_eq!(decoder.take_record(), None);
    assert_eq!(decoder.take_arrived_records(), 2);
}

#[test]
fn a_record_peeked_past_can_still_be_taken_as_one() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &[1], vec![5], true);
    decoder.feed(&frame(b"m"));
    assert_eq!(decoder.peek(), complete(1));
    assert_eq!(decoder.take_record(), Some((1, vec![5])));
    assert_eq!(decoder.peek(), complete(1));
    assert!(decoder.take(&mut [0]).is_empty());
}

#[test]
fn lost_descriptors_leave_the_boundaries_intact_and_mark_their_message() {
    for exact in [true, false] {
        let mut decoder: Decoder<u32> = Decoder::new();
        decoder.feed(&[3]);
        decoder.attach_lost(0, exact);
        decoder.feed(&frame(b"ab"));
        decoder.feed(&frame(b"cd"));
        decoder.attach_lost(12, exact);
        assert_eq!(decoder.unclaimed(), 2);
        decoder.feed(&frame(b"ef"));
        for lost in [true, true, false] {
            assert_eq!(decoder.peek(), complete(2));
            assert!(decoder.take(&mut [0; 2]).is_empty());
            assert_eq!(decoder.descriptors_lost(), lost);
        }
    }
}

#[test]
fn attaching_nothing_changes_nothing() {
    let mut decoder: Decoder<u32> = Decoder::new();
    feed(&mut decoder, &[0], vec![], true);
    decoder.feed(&[0, 0, 0]);
    assert_eq!(decoder.peek(), complete(0));
}

#[test]
fn an_acknowledgement_is_taken_only_when_due_and_only_at_a_boundary() {
    let mut decoder: Decoder<u32> = Decoder::new();
    decoder.feed(b"AA");
    assert_eq!(decoder.take_acknowledgements(), 0);
    decoder.expect_acknowledgement();
    assert_eq!(decoder.take_acknowledgements(), 1);
    decoder.expect_acknowledgement();
    decoder.expect_acknowledgement();
    decoder.feed(&frame(b"A"));
    assert_eq!(decoder.take_acknowledgements(), 1);
    assert_eq!(decoder.take_acknowledgements(), 0);
    decoder.peek().unwrap();
    decoder.begin_body();
    assert_eq!(decoder.take_acknowledgements(), 0);
    assert_eq!(decoder.fill(&mut [0]), 1);
    decoder.finish();
    decoder.feed(b"A");
    assert_eq!(decoder.take_acknowledgements(), 1);
}

#[test]
fn an_acknowledgement_is_found_behind_records() {
    let mut decoder = Decoder::new();
    decoder.expect_acknowledgement();
    feed(&mut decoder, &[1], vec![1], true);
    feed(&mut decoder, &[1], vec![2], true);
    decoder.feed(b"A");
    feed(&mut decoder, &[65], vec![3; 65], true);
    assert_eq!(decoder.take_acknowledgements(), 1);
    decoder.feed(&frame(b"x"));
    assert_eq!(decoder.peek(), complete(1));
    assert_eq!(decoder.take_record(), Some((1, vec![1])));
    assert_eq!(decoder.take(&mut [0]).len(), 66);
    assert_eq!(decoder.take_arrived_records(), 3);
}

#[test]
fn a_byte_with_descriptors_is_no_acknowledgement() {
    let mut decoder = Decoder::new();
    decoder.expect_acknowledgement();
    feed(&mut decoder, b"A", vec![1; 65], true);
    assert_eq!(decoder.take_acknowledgements(), 0);
    assert_eq!(decoder.take_record().unwrap().1.len(), 65);
    feed(&mut decoder, b"A", vec![1], true);
    assert_eq!(decoder.take_acknowledgements(), 0);
    assert_eq!(
        decoder.peek(),
        Err(Error::DescriptorCount {
            announced: 65,
            received: 1
        })
    );
}

#[test]
fn a_record_counts_as_arrived_before_its_frame_does() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &[1], vec![1], true);
    assert_eq!(decoder.take_arrived_records(), 1);
    assert_eq!(decoder.take_arrived_records(), 0);
    decoder.feed(&frame(b""));
    decoder.peek().unwrap();
    decoder.take(&mut []);
    assert_eq!(decoder.take_arrived_records(), 0);
}

#[test]
fn the_end_of_the_stream_drops_what_is_left() {
    let fd = Rc::new(());
    let mut decoder = Decoder::new();
    feed(&mut decoder, &[1], vec![Rc::clone(&fd)], true);
    assert!(decoder.end_of_stream());
    assert_eq!(Rc::strong_count(&fd), 1);
    assert_eq!((decoder.buffered(), decoder.unclaimed()), (0, 0));
    assert!(!decoder.end_of_stream());
}

#[test]
fn a_body_begun_and_cut_is_truncated() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &frame(b"0123456789")[..8], vec![1], true);
    decoder.peek().unwrap();
    decoder.begin_body();
    assert_eq!(decoder.fill(&mut [0; 100]), 4);
    assert_eq!(
        (decoder.body_len(), decoder.body_filled(), decoder.in_body()),
        (10, 4, true)
    );
    assert_eq!(decoder.peek(), Ok(None));
    assert_eq!(decoder.take_record(), None);
    assert!(decoder.end_of_stream());
    assert!(!decoder.in_body());
}

#[test]
#[should_panic(expected = "no frame stands at the boundary")]
fn taking_a_frame_that_is_not_there_is_the_callers_error() {
    Decoder::<u32>::new().take(&mut []);
}
