//! Everything that differs between systems. Where a system lacks what Linux has, the plain POSIX way in [`fallback`] takes
//! over; it is compiled and tested everywhere.

#[cfg_attr(
    not(target_vendor = "apple"),
    allow(dead_code, reason = "elsewhere some of it is used by its tests only")
)]
pub(crate) mod fallback;

pub(crate) use fallback::{read_waiting, write_waiting};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use linux::*;

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg(target_vendor = "apple")]
pub(crate) use apple::*;

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod bsd;
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(crate) use bsd::*;
