//! What a descriptor is.

use std::io::IsTerminal;
use std::os::fd::BorrowedFd;

use fdwire_system::{Result, check};
use nix::sys::stat::{SFlag, fstat};

use crate::kind::Kind;
use crate::option::is_listening;
use crate::platform;

/// Finds out what `fd` is.
pub fn kind(fd: BorrowedFd<'_>) -> Result<Kind> {
    let stat = check("fstat", fstat(fd))?;
    let format = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    Ok(match format {
        SFlag::S_IFREG => platform::regular_kind(fd, stat.st_nlink == 0),
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFIFO => Kind::Pipe,
        SFlag::S_IFSOCK if is_listening(fd).unwrap_or(false) => Kind::Listener,
        SFlag::S_IFSOCK => Kind::Socket,
        SFlag::S_IFCHR if fd.is_terminal() => Kind::Tty,
        SFlag::S_IFCHR => Kind::Char,
        SFlag::S_IFBLK => Kind::Block,
        _ => Kind::Anon,
    })
}
