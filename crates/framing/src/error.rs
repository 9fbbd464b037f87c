/// What a peer can send that is not this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A header announces a negative length other than -1. The stream has no further boundary to go on from.
    #[error("a frame announces the negative length {0}")]
    NegativeLength(i32),

    /// The byte of a handle record is not the number of its descriptors. The stream is usable behind the record.
    #[error("a handle record announces {announced} descriptors and brought {received}")]
    DescriptorCount {
        /// The record's byte: the number modulo 256.
        announced: u8,
        /// How many descriptors came with it.
        received: usize,
    },

    /// What another decoder is said to have had: descriptors at this offset, which is out of order or beyond the bytes.
    #[error("descriptors at {0}, out of order or beyond the bytes")]
    MisplacedDescriptors(u64),
}
