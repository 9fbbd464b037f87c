//! Any stream, cut and tagged in any way, beside a slow and plain model of the contract.
#![no_main]

use std::collections::VecDeque;

use fdwire_framing::{Decoder, Error};
use libfuzzer_sys::fuzz_target;

/// One byte of the stream, with what came on it: descriptors (none: they were lost), and whether the read ended there.
type Cell = (u8, Option<(Vec<u32>, bool)>);

#[derive(Debug, PartialEq)]
enum Taken {
    Nothing,
    Message { body: Vec<u8>, fds: Vec<u32>, lost: bool },
    Refused(Error),
    Over,
}

/// The contract, byte by byte.
#[derive(Default)]
struct Model {
    cells: VecDeque<Cell>,
    due: usize,
}

#[derive(PartialEq)]
enum Meaning {
    Record,
    Mismatch,
    Other,
}

impl Model {
    fn meaning(&self, index: usize) -> Meaning {
        let Some((byte, Some((fds, exact)))) = self.cells.get(index) else {
            return Meaning::Other;
        };
        let is_record = match (fds.len(), exact) {
            (0, true) => true,
            (0, false) => *byte != 0,
            (count, true) => *byte == 0 || *byte == (count % 256) as u8,
            (count, false) => *byte == (count % 256) as u8,
        };
        match (is_record, exact) {
            (true, _) => Meaning::Record,
            (false, true) => Meaning::Mismatch,
            (false, false) => Meaning::Other,
        }
    }

    fn records(&self) -> usize {
        (0..).take_while(|&index| self.meaning(index) == Meaning::Record).count()
    }

    fn take_acknowledgements(&mut self) -> usize {
        let mut taken = 0;
        while self.due > 0 {
            let at = self.records();
            if self.cells.get(at) != Some(&(b'A', None)) {
                break;
            }
            self.cells.remove(at);
            self.due -= 1;
            taken += 1;
        }
        taken
    }

    fn remove(&mut self, count: usize) -> (Vec<u8>, Vec<u32>, bool) {
        let cells: Vec<Cell> = self.cells.drain(..count).collect();
        let lost = cells.iter().any(|(_, tag)| tag.as_ref().is_some_and(|(fds, _)| fds.is_empty()));
        let bytes = cells.iter().map(|(byte, _)| *byte).collect();
        let fds = cells.into_iter().filter_map(|(_, tag)| tag).flat_map(|(fds, _)| fds).collect();
        (bytes, fds, lost)
    }

    fn take(&mut self) -> Taken {
        let records = self.records();
        if self.meaning(records) == Meaning::Mismatch {
            let (byte, tag) = &self.cells[records];
            let error = Error::DescriptorCount {
                announced: *byte,
                received: tag.as_ref().map_or(0, |(fds, _)| fds.len()),
            };
            self.remove(records + 1);
            return Taken::Refused(error);
        }
        let at = |from: usize, count: usize| -> Option<i128> {
            let bytes = (from..from + count).map(|index| self.cells.get(records + index).map(|(byte, _)| *byte));
            let bytes: Option<Vec<u8>> = bytes.collect();
            Some(bytes?.iter().fold(0, |number, byte| number << 8 | i128::from(*byte)))
        };
        let Some(short) = at(0, 4) else {
            return Taken::Nothing;
        };
        let (header, length) = match short {
            0..=0x7fff_ffff => (4, short),
            0xffff_ffff => match at(4, 8) {
                Some(long) => (12, long),
                None => return Taken::Nothing,
            },
            _ => return Taken::Over,
        };
        let start = records + header;
        if ((self.cells.len() - start) as i128) < length {
            return Taken::Nothing;
        }
        let (bytes, fds, lost) = self.remove(start + length as usize);
        Taken::Message {
            body: bytes[start..].to_vec(),
            fds,
            lost,
        }
    }
}

/// Takes what stands at the boundary, whole or, where `in_pieces`, by parts.
fn take(decoder: &mut Decoder<u32>, in_pieces: bool) -> Taken {
    let said = decoder.peek();
    assert_eq!(decoder.peek(), said);
    let missing = decoder.missing();
    let frame = match said {
        Ok(Some(frame)) if frame.complete => frame,
        Ok(frame) => {
            assert!(missing.is_ok_and(|missing| missing > 0) && frame.is_none_or(|frame| !frame.complete));
            return Taken::Nothing;
        }
        Err(error @ Error::DescriptorCount { .. }) => {
            assert_eq!(missing, Err(error));
            assert_eq!(decoder.skip_refused(), Some(error));
            return Taken::Refused(error);
        }
        Err(_) => return Taken::Over,
    };
    assert_eq!(missing, Ok(0));
    let mut body = vec![0; frame.body_len as usize];
    let fds = if in_pieces {
        decoder.begin_body();
        assert_eq!(decoder.peek(), Ok(None));
        for piece in body.chunks_mut(3) {
            assert_eq!(decoder.fill(piece), piece.len());
        }
        decoder.finish()
    } else {
        decoder.take(&mut body)
    };
    Taken::Message {
        body,
        fds,
        lost: decoder.descriptors_lost(),
    }
}

/// Another decoder that goes on from what this one has.
fn moved(decoder: &Decoder<u32>) -> Option<Decoder<u32>> {
    let snapshot = decoder.snapshot()?;
    let tags = snapshot.tags.iter().map(|&(offset, fds, exact)| (offset, fds.to_vec(), exact));
    let mut other = Decoder::new();
    other
        .restore(snapshot.bytes, tags.collect(), snapshot.acknowledgements_due)
        .expect("what is so can be");
    Some(other)
}

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::<u32>::new();
    let mut model = Model::default();
    let mut input = data.iter().copied();
    let mut fds = 0..;
    // A read: what it brings, its length, its bytes.
    while let (Some(shape), Some(length)) = (input.next(), input.next()) {
        let bytes: Vec<u8> = input.by_ref().take(usize::from(length % 64) + 1).collect();
        if bytes.is_empty() {
            break;
        }
        if shape & 1 != 0 {
            decoder.expect_acknowledgement();
            model.due += 1;
        }
        let exact = shape & 2 != 0;
        // Linux tags the last byte, others the first.
        let tagged = if shape & 4 != 0 { bytes.len() - 1 } else { 0 };
        let start = decoder.end();
        decoder.feed(&bytes);
        let mut cells: Vec<Cell> = bytes.iter().map(|&byte| (byte, None)).collect();
        match shape >> 3 & 7 {
            0..=3 => {}
            4 => {
                decoder.attach_lost(start + tagged as u64, exact);
                cells[tagged].1 = Some((Vec::new(), exact));
            }
            _ => {
                let came: Vec<u32> = fds.by_ref().take(usize::from(shape >> 6) * 85 + 1).collect();
                decoder.attach(start + tagged as u64, came.clone(), exact);
                cells[tagged].1 = Some((came, exact));
            }
        }
        model.cells.extend(cells);
        if length & 64 != 0
            && let Some(other) = moved(&decoder)
        {
            decoder = other;
        }
        loop {
            assert_eq!(decoder.take_acknowledgements(), model.take_acknowledgements());
            let taken = take(&mut decoder, length & 128 != 0);
            assert_eq!(taken, model.take());
            assert_eq!(decoder.buffered(), model.cells.len());
            match taken {
                Taken::Nothing => break,
                Taken::Over => {
                    decoder.refuse_all();
                    assert!(decoder.buffered() == 0 && decoder.unclaimed() == 0);
                    return;
                }
                _ => {}
            }
        }
    }
    assert_eq!(decoder.end_of_stream(), !model.cells.is_empty());
});
