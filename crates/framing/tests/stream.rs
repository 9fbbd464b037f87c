//! Whole streams, however they are cut: a model of what the kernel does between `sendmsg` and `recvmsg` feeds a decoder.

use fdwire_framing::{Decoder, Header};
use proptest::prelude::*;
use std::collections::VecDeque;

type Fd = u32;

#[derive(Clone, Debug, PartialEq)]
struct Message {
    body: Vec<u8>,
    fds: Vec<Fd>,
}

/// What one `sendmsg` wrote.
#[derive(Clone, Debug)]
struct Segment {
    bytes: VecDeque<u8>,
    fds: Vec<Fd>,
}

/// How the peer writes a message.
#[derive(Clone, Debug)]
struct Written {
    /// Handle records in front of the frame, each with so many descriptors.
    records: Vec<usize>,
    /// Acknowledgements in front of the message, and between its records and its frame.
    acknowledgements: (usize, usize),
    body: Vec<u8>,
    long_header: bool,
    /// Descriptors attached to the frame's own bytes, and from which byte on (modulo its length).
    attached: Option<(usize, usize)>,
}

fn written() -> impl Strategy<Value = Written> {
    let records = prop::collection::vec(prop_oneof![4 => 1..4usize, 1 => 1..=253usize], 0..3);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let attached = prop::option::weighted(0.3, (1..4usize, any::<usize>()));
    (records, (0..2usize, 0..2usize), body, any::<bool>(), attached).prop_map(
        |(records, acknowledgements, body, long_header, attached)| Written {
            records,
            acknowledgements,
            body,
            long_header,
            attached,
        },
    )
}

/// The segments of a stream, the messages in it, and the number of acknowledgements and of records.
fn stream(written: &[Written]) -> (Vec<Segment>, Vec<Message>, usize, usize) {
    let mut fds = 0..;
    let mut segments = Vec::new();
    let mut messages = Vec::new();
    let (mut acknowledgements, mut records) = (0, 0);
    let mut segment = |bytes: &[u8], count: usize| {
        let fds: Vec<Fd> = fds.by_ref().take(count).collect();
        segments.push(Segment {
            bytes: bytes.iter().copied().collect(),
            fds: fds.clone(),
        });
        fds
    };
    for message in written {
        let mut fds = Vec::new();
        segment(&vec![b'A'; message.acknowledgements.0], 0);
        for count in &message.records {
            fds.extend(segment(&[*count as u8], *count));
        }
        segment(&vec![b'A'; message.acknowledgements.1], 0);
        let header = match message.long_header {
            true => [[0xff; 4].as_slice(), &(message.body.len() as u64).to_be_bytes()].concat(),
            false => Header::encode(message.body.len() as u64).as_bytes().to_vec(),
        };
        let frame = [header, message.body.clone()].concat();
        let (count, at) = message.attached.unwrap_or((0, 0));
        let (plain, carrying) = frame.split_at(at % frame.len());
        segment(plain, 0);
        fds.extend(segment(carrying, count));
        messages.push(Message {
            body: message.body.clone(),
            fds,
        });
        acknowledgements += message.acknowledgements.0 + message.acknowledgements.1;
        records += message.records.len();
    }
    segments.retain(|segment| !segment.bytes.is_empty());
    (segments, messages, acknowledgements, records)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Arrival {
    /// Linux: plain bytes and the first segment with descriptors come together; the read ends with that segment.
    LastByte,
    /// macOS, BSD: a segment with descriptors begins a read, which runs on into plain bytes.
    FirstByte,
}

struct Kernel {
    segments: VecDeque<Segment>,
    arrival: Arrival,
}

impl Kernel {
    /// One `recvmsg`: bytes, descriptors, the index of the byte to tag, and whether the read ended there by itself.
    fn read(&mut self, window: usize) -> (Vec<u8>, Vec<Fd>, usize, bool) {
        let mut bytes = Vec::new();
        let mut fds = Vec::new();
        while bytes.len() < window
            && let Some(segment) = self.segments.front_mut()
        {
            if self.arrival == Arrival::FirstByte && !bytes.is_empty() && !segment.fds.is_empty() {
                break;
            }
            fds.append(&mut segment.fds);
            let count = segment.bytes.len().min(window - bytes.len());
            bytes.extend(segment.bytes.drain(..count));
            if segment.bytes.is_empty() {
                self.segments.pop_front();
            }
            if self.arrival == Arrival::LastByte && !fds.is_empty() {
                break;
            }
        }
        let tagged = match self.arrival {
            Arrival::LastByte => bytes.len().saturating_sub(1),
            Arrival::FirstByte => 0,
        };
        let exact = bytes.len() < window && tagged + 1 == bytes.len();
        (bytes, fds, tagged, exact)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Taking {
    Whole,
    /// Straight from what was read, where that is possible.
    Passed,
    /// Through `begin_body`, so many buffered bytes at a time; the others are read directly.
    Pieces(usize),
}

struct Receiver {
    kernel: Kernel,
    decoder: Decoder<Fd>,
    taking: Taking,
    body: Vec<u8>,
    messages: Vec<Message>,
    acknowledged: usize,
    records: usize,
}

impl Receiver {
    fn new(segments: Vec<Segment>, arrival: Arrival, taking: Taking, acknowledgements: usize) -> Self {
        let mut decoder = Decoder::new();
        (0..acknowledgements).for_each(|_| decoder.expect_acknowledgement());
        Self {
            kernel: Kernel {
                segments: segments.into(),
                arrival,
            },
            decoder,
            taking,
            body: Vec::new(),
            messages: Vec::new(),
            acknowledged: 0,
            records: 0,
        }
    }

    /// Reads the rest of a body begun to its place and what is behind it to the buffer, as one `recvmsg` of two buffers
    /// would. Returns false at the end of the stream.
    fn read(&mut self, window: usize) -> bool {
        let start = self.decoder.end();
        let (bytes, fds, tagged, exact) = self.kernel.read(window);
        let left = (self.decoder.body_len() - self.decoder.body_filled()) as usize;
        let (body, behind) = bytes.split_at(left.min(bytes.len()));
        self.body.extend(body);
        if self.decoder.in_body() {
            self.decoder.filled_directly(body.len());
        }
        let mut passed = 0;
        if self.taking == Taking::Passed && fds.is_empty() && self.decoder.is_clear() {
            let mut room = 3;
            passed = self.decoder.pass(behind, |body| {
                if room == 0 {
                    return false;
                }
                room -= 1;
                let (body, fds) = (body.to_vec(), Vec::new());
                self.messages.push(Message { body, fds });
                true
            });
        }
        self.decoder.feed(&behind[passed..]);
        assert_eq!(self.decoder.end(), start + bytes.len() as u64);
        self.decoder.attach(start + tagged as u64, fds, exact);
        !bytes.is_empty()
    }

    /// Takes all there is to take.
    fn take(&mut self) {
        loop {
            if self.decoder.in_body() && !self.fill() {
                return;
            }
            self.acknowledged += self.decoder.take_acknowledgements();
            let frame = self.decoder.peek().expect("a sound stream");
            self.records += self.decoder.take_arrived_records();
            match (frame, self.taking) {
                (Some(frame), Taking::Pieces(_)) => {
                    self.decoder.begin_body();
                    assert_eq!(self.decoder.body_len(), frame.body_len);
                }
                (Some(frame), Taking::Whole | Taking::Passed) if frame.complete => {
                    assert_eq!(self.decoder.missing(), Ok(0));
                    let mut body = vec![0; frame.body_len as usize];
                    let fds = self.decoder.take(&mut body);
                    self.messages.push(Message { body, fds });
                }
                _ => return,
            }
        }
    }

    /// Returns true when the body begun is finished.
    fn fill(&mut self) -> bool {
        let Taking::Pieces(size) = self.taking else {
            unreachable!()
        };
        let mut piece = vec![0; size];
        loop {
            match self.decoder.fill(&mut piece) {
                0 => break,
                count => self.body.extend(&piece[..count]),
            }
        }
        let through = self.decoder.body_filled() == self.decoder.body_len();
        if through {
            let fds = self.decoder.finish();
            self.messages.push(Message {
                body: std::mem::take(&mut self.body),
                fds,
            });
        }
        through
    }
}

fn arrival() -> impl Strategy<Value = Arrival> {
    prop_oneof![Just(Arrival::LastByte), Just(Arrival::FirstByte)]
}

fn taking() -> impl Strategy<Value = Taking> {
    prop_oneof![
        Just(Taking::Whole),
        Just(Taking::Passed),
        (1..20usize).prop_map(Taking::Pieces)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 2000 }))]

    #[test]
    fn every_message_comes_with_its_descriptors_however_it_is_read(
        written in prop::collection::vec(written(), 0..6),
        windows in prop::collection::vec(1..100usize, 1..8),
        arrival in arrival(),
        taking in taking(),
    ) {
        let (segments, messages, acknowledgements, records) = stream(&written);
        let mut receiver = Receiver::new(segments, arrival, taking, acknowledgements);
        let mut windows = windows.into_iter().cycle();
        while receiver.read(windows.next().unwrap()) {
            receiver.take();
        }
        prop_assert_eq!(&receiver.messages, &messages);
        prop_assert_eq!(receiver.acknowledged, acknowledgements);
        prop_assert_eq!(receiver.records, records);
        prop_assert_eq!((receiver.decoder.buffered(), receiver.decoder.unclaimed()), (0, 0));
        prop_assert!(!receiver.decoder.end_of_stream());
    }

    #[test]
    fn nothing_behind_a_frame_is_read_by_those_who_ask_what_is_missing(
        written in prop::collection::vec(written(), 1..6),
        arrival in arrival(),
    ) {
        let (segments, messages, acknowledgements, _) = stream(&written);
        let mut receiver = Receiver::new(segments, arrival, Taking::Whole, acknowledgements);
        for taken in 0..messages.len() {
            while receiver.messages.len() == taken {
                let missing = receiver.decoder.missing().unwrap() as usize;
                prop_assert!(missing > 0);
                prop_assert!(receiver.read(missing));
                receiver.take();
            }
            prop_assert_eq!(receiver.decoder.buffered(), 0);
        }
        prop_assert_eq!(&receiver.messages, &messages);
        prop_assert_eq!(receiver.acknowledged, acknowledgements);
    }

    #[test]
    fn nothing_a_peer_sends_panics(
        reads in prop::collection::vec((prop::collection::vec(0..4u8, 1..30), 0..4usize, any::<bool>()), 0..20),
        first in any::<bool>(),
        pieces in any::<bool>(),
    ) {
        let mut decoder: Decoder<Fd> = Decoder::new();
        decoder.expect_acknowledgement();
        for (bytes, fds, exact) in reads {
            let start = decoder.end();
            decoder.feed(&bytes);
            let tagged = if first { start } else { decoder.end() - 1 };
            decoder.attach(tagged, vec![7; fds], exact);
            loop {
                let mut out = [0; 64];
                decoder.fill(&mut out);
                if decoder.in_body() && decoder.body_filled() == decoder.body_len() {
                    decoder.finish();
                }
                decoder.take_acknowledgements();
                match decoder.peek() {
                    Ok(Some(frame)) if frame.complete && frame.body_len <= 64 => drop(decoder.take(&mut out)),
                    Ok(Some(_)) if pieces => decoder.begin_body(),
                    Ok(_) => break,
                    Err(_) => drop(decoder.take_record()),
                }
            }
        }
        decoder.end_of_stream();
        prop_assert_eq!((decoder.buffered(), decoder.unclaimed()), (0, 0));
    }
}

/// A stream with everything in it.
fn everything() -> Vec<Written> {
    let message = |records: &[usize], body: &[u8], long_header, attached| Written {
        records: records.to_vec(),
        acknowledgements: (0, 0),
        body: body.to_vec(),
        long_header,
        attached,
    };
    vec![
        message(&[], b"", false, None),
        message(&[1, 2], b"two records", false, Some((1, 2))),
        message(&[253], b"long", true, Some((2, 14))),
        message(&[], b"plain", true, None),
        message(&[1], b"", false, Some((1, 0))),
    ]
}

/// Reads `first` bytes, then the rest in windows of `window`.
fn receive(segments: Vec<Segment>, arrival: Arrival, taking: Taking, first: usize, window: usize) -> Receiver {
    let mut receiver = Receiver::new(segments, arrival, taking, 0);
    let mut next = first;
    while receiver.read(next) {
        receiver.take();
        next = window;
    }
    receiver
}

#[test]
fn a_stream_may_be_split_anywhere() {
    let (segments, messages, ..) = stream(&everything());
    let len: usize = segments.iter().map(|segment| segment.bytes.len()).sum();
    for arrival in [Arrival::LastByte, Arrival::FirstByte] {
        for taking in [Taking::Whole, Taking::Pieces(3)] {
            // Miri, which is slow, has some of them.
            for first in (1..=len).step_by(if cfg!(miri) { len / 3 } else { 1 }) {
                for window in [1, 2, 3, len + 1] {
                    let receiver = receive(segments.clone(), arrival, taking, first, window);
                    assert_eq!(receiver.messages, messages, "{arrival:?} {taking:?} {first} {window}");
                }
            }
        }
    }
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let everything = everything();
    let boundaries: Vec<usize> = (0..=everything.len())
        .map(|messages| {
            stream(&everything[..messages])
                .0
                .iter()
                .map(|segment| segment.bytes.len())
                .sum()
        })
        .collect();
    for arrival in [Arrival::LastByte, Arrival::FirstByte] {
        for taking in [Taking::Whole, Taking::Pieces(3)] {
            for cut in 0..=*boundaries.last().unwrap() {
                let (mut segments, messages, ..) = stream(&everything);
                let mut left = cut;
                segments.retain_mut(|segment| {
                    segment.bytes.truncate(left);
                    left -= segment.bytes.len();
                    !segment.bytes.is_empty()
                });
                let mut receiver = receive(segments, arrival, taking, cut + 1, cut + 1);
                let whole = boundaries.iter().filter(|boundary| **boundary <= cut).count() - 1;
                assert_eq!(receiver.messages, messages[..whole]);
                assert_eq!(
                    receiver.decoder.end_of_stream(),
                    !boundaries.contains(&cut),
                    "{arrival:?} {taking:?} {cut}"
                );
            }
        }
    }
}
