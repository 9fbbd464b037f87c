use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

/// A part of what is waiting, in its order.
#[derive(Debug)]
pub enum Piece<'a, B> {
    /// Bytes that were copied.
    Copied(&'a [u8]),
    /// Part of a buffer that is referenced.
    Shared(&'a mut B, Range<usize>),
}

/// Copied bytes are gathered in chunks of up to this many.
const CHUNK: usize = 64 * 1024;

/// Bytes (referenced ones as `B`) and handle records (descriptors as `F`) waiting for the kernel, in order.
#[derive(Debug)]
pub struct Outbox<B, F> {
    chunks: VecDeque<Chunk<B, F>>,
    /// How much of the first chunk is written.
    head: usize,
    queued: u64,
    written: u64,
}

#[derive(Debug)]
enum Chunk<B, F> {
    Copied(Vec<u8>),
    Shared { bytes: B, range: Range<usize> },
    Record { count: u8, fds: Vec<F> },
}

impl<B, F> Chunk<B, F> {
    fn len(&self) -> usize {
        match self {
            Chunk::Copied(bytes) => bytes.len(),
            Chunk::Shared { range, .. } => range.len(),
            Chunk::Record { .. } => 1,
        }
    }
}

impl<B: AsRef<[u8]>, F> Chunk<B, F> {
    /// `None`: a record, which has to be sent alone.
    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Chunk::Copied(bytes) => Some(bytes),
            Chunk::Shared { bytes, range } => Some(&bytes.as_ref()[range.clone()]),
            Chunk::Record { .. } => None,
        }
    }
}

impl<B, F> Default for Outbox<B, F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: AsRef<[u8]>, F> Outbox<B, F> {
    /// Appends the bytes whose turn it is to `slices`: up to the next record, and `max` slices at the most.
    pub fn gather<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>, max: usize) {
        let mut skip = self.head;
        for bytes in self.chunks.iter().take(max).map_while(Chunk::as_bytes) {
            slices.push(IoSlice::new(&bytes[skip..]));
            skip = 0;
        }
    }
}

impl<B, F> Outbox<B, F> {
    /// An empty outbox at the start of a stream.
    pub fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            head: 0,
            queued: 0,
            written: 0,
        }
    }

    /// Nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// How many bytes are waiting.
    pub fn len(&self) -> u64 {
        self.queued - self.written
    }

    /// The stream position behind all that was ever queued.
    pub fn queued(&self) -> u64 {
        self.queued
    }

    /// The stream position behind all that the kernel took.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Queues a copy of `bytes`. Small copies next to each other share a chunk.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.queued += bytes.len() as u64;
        match self.chunks.back_mut() {
            Some(Chunk::Copied(last)) if last.len() + bytes.len() <= CHUNK => last.extend_from_slice(bytes),
            _ => self.chunks.push_back(Chunk::Copied(bytes.to_vec())),
        }
    }

    /// Queues `range` of `bytes` without copying: `bytes` is held until it is written.
    ///
    /// The range is the caller's to keep within the bytes.
    pub fn push_shared(&mut self, bytes: B, range: Range<usize>) {
        let len = range.len();
        if len > 0 {
            self.queued += len as u64;
            self.chunks.push_back(Chunk::Shared { bytes, range });
        }
    }

    /// Queues a handle record: one byte, the number of `fds` modulo 256, that they leave with.
    pub fn push_record(&mut self, fds: Vec<F>) {
        self.queued += 1;
        self.chunks.push_back(Chunk::Record {
            count: (fds.len() % 256) as u8,
            fds,
        });
    }

    /// The record whose turn it is: its byte and its descriptors, to be sent by a `sendmsg` of their own.
    pub fn record(&self) -> Option<(u8, &[F])> {
        match self.chunks.front() {
            Some(Chunk::Record { count, fds }) => Some((*count, fds)),
            _ => None,
        }
    }

    /// The bytes whose turn it is, for buffers that are not slices: up to the next record, and `max` pieces at the most.
    pub fn pieces(&mut self, max: usize) -> impl Iterator<Item = Piece<'_, B>> {
        let mut skip = self.head;
        self.chunks.iter_mut().take(max).map_while(move |chunk| {
            let skipped = std::mem::take(&mut skip);
            match chunk {
                Chunk::Copied(bytes) => Some(Piece::Copied(&bytes[skipped..])),
                Chunk::Shared { bytes, range } => Some(Piece::Shared(bytes, range.start + skipped..range.end)),
                Chunk::Record { .. } => None,
            }
        })
    }

    /// The kernel took the next `count` bytes. Returns the descriptors of the records among them, which may be closed, or
    /// held until their receiver acknowledges them.
    ///
    /// # Panics
    ///
    /// If not so many bytes are waiting.
    pub fn advance(&mut self, count: usize) -> Vec<F> {
        assert!(count as u64 <= self.len(), "{count} bytes written of {}", self.len());
        self.written += count as u64;
        self.head += count;
        let mut left = Vec::new();
        while self.chunks.front().is_some_and(|chunk| chunk.len() <= self.head)
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.head -= chunk.len();
            match chunk {
                Chunk::Record { fds, .. } if left.is_empty() => left = fds,
                Chunk::Record { fds, .. } => left.extend(fds),
                _ => {}
            }
        }
        left
    }

    /// `count` bytes went out without being queued.
    ///
    /// # Panics
    ///
    /// If something is waiting: it comes first.
    pub fn written_directly(&mut self, count: usize) {
        assert!(self.is_empty(), "queued bytes come first");
        self.queued += count as u64;
        self.written += count as u64;
    }

    /// Has the bytes queued last, where they are referenced, be a copy: what `copy` makes of the part that is still waiting.
    /// Where it makes none they stay as they are.
    pub fn own_last(&mut self, copy: impl FnOnce(&mut B, Range<usize>) -> Option<Vec<u8>>) {
        let only = self.chunks.len() == 1;
        let Some(last) = self.chunks.back_mut() else { return };
        let Chunk::Shared { bytes, range } = last else { return };
        let skip = if only { self.head } else { 0 };
        let waiting = range.start + skip..range.end;
        let size = waiting.len();
        if let Some(copied) = copy(bytes, waiting).filter(|copied| copied.len() == size) {
            *last = Chunk::Copied(copied);
            if only {
                self.head = 0;
            }
        }
    }

    /// The referenced buffers that are waiting, for an owner who must look after them before each write.
    pub fn shared(&mut self) -> impl Iterator<Item = &mut B> {
        self.chunks.iter_mut().filter_map(|chunk| match chunk {
            Chunk::Shared { bytes, .. } => Some(bytes),
            _ => None,
        })
    }

    /// Where referenced bytes are next: the stream position behind them. Until that is written no message is complete.
    pub fn shared_until(&self) -> Option<u64> {
        match self.chunks.front() {
            Some(Chunk::Shared { range, .. }) => Some(self.written - self.head as u64 + range.len() as u64),
            _ => None,
        }
    }

    /// Drops what is waiting: it counts as never queued.
    pub fn clear(&mut self) {
        self.chunks = VecDeque::new();
        self.head = 0;
        self.queued = self.written;
    }
}
