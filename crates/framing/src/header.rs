use crate::error::Error;

const SHORT: usize = 4;
const LONG: usize = 12;
/// In place of a length: the length follows as 64 bits.
const EXTENDED: i32 = -1;

/// The encoded header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; LONG],
    len: usize,
}

impl Header {
    /// The header of a body of `body_len` bytes: 4 bytes up to `0x7fffffff`, 12 above.
    pub fn encode(body_len: u64) -> Header {
        let mut bytes = [0; LONG];
        let len = match i32::try_from(body_len) {
            Ok(short) => {
                bytes[..SHORT].copy_from_slice(&short.to_be_bytes());
                SHORT
            }
            Err(_) => {
                bytes[..SHORT].copy_from_slice(&EXTENDED.to_be_bytes());
                bytes[SHORT..].copy_from_slice(&body_len.to_be_bytes());
                LONG
            }
        };
        Header { bytes, len }
    }

    /// The bytes to send.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Reads the header `bytes` begin with: its own length and that of the body. `None`: more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`Error::NegativeLength`], known from the first four bytes.
    pub fn decode(bytes: &[u8]) -> Result<Option<(usize, u64)>, Error> {
        let Some((short, rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        match i32::from_be_bytes(*short) {
            EXTENDED => Ok(rest.first_chunk().map(|long| (LONG, u64::from_be_bytes(*long)))),
            len => match u64::try_from(len) {
                Ok(body_len) => Ok(Some((SHORT, body_len))),
                Err(_) => Err(Error::NegativeLength(len)),
            },
        }
    }

    /// The length of the header that `bytes` are the beginning of, as far as they tell.
    pub(crate) fn expected_len(bytes: &[u8]) -> usize {
        if bytes.starts_with(&EXTENDED.to_be_bytes()) {
            LONG
        } else {
            SHORT
        }
    }
}
