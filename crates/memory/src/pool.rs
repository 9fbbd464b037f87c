//! Blocks for large messages, which are used again: filling fresh pages takes longer than copying the bytes does.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::platform;

/// Lengths are rounded up by so many steps between one power of two and the next: a quarter is wasted at the most.
const STEPS: usize = 4;
/// From this size on huge pages halve the time that filling fresh memory takes.
const HUGE: usize = 2 * 1024 * 1024;

/// A bounded number of bytes in blocks, of which those that were given back are given out again. It may be shared by
/// threads, and a block may outlive whoever asked for it.
#[derive(Debug)]
pub struct Pool {
    /// Bytes mapped at the most, in blocks given out and free ones together.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    mapped: usize,
    /// By length, the one given back last at the end.
    free: BTreeMap<usize, Vec<Region>>,
    /// How many of each length were free all the time since the last trim.
    unused: BTreeMap<usize, usize>,
}

/// A mapping of our own.
#[derive(Debug)]
struct Region {
    address: NonNull<c_void>,
    length: usize,
}

// SAFETY: anonymous private memory belongs to no thread, and a region has one owner.
unsafe impl Send for Region {}

impl Region {
    /// `None` where the system has no memory.
    fn new(length: usize) -> Option<Region> {
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: an anonymous mapping at an address of the system's choice touches nothing that exists.
        let address = unsafe { mmap_anonymous(None, NonZeroUsize::new(length)?, protection, MapFlags::MAP_PRIVATE) };
        let region = Region {
            address: address.ok()?,
            length,
        };
        if length >= HUGE {
            platform::advise_huge_pages(region.address, region.length);
        }
        Some(region)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and whoever had the address has given it back.
        let _ = unsafe { munmap(self.address, self.length) };
    }
}

/// So many bytes of a pool, which gets them back when this is dropped. What they are is what they were used for before.
#[derive(Debug)]
pub struct Block {
    pool: Arc<Pool>,
    /// Only `drop` takes it.
    region: Option<Region>,
}

impl Block {
    /// Where the bytes are: as many as were asked for, and nobody else's until this is dropped.
    pub fn address(&self) -> NonNull<u8> {
        self.region
            .as_ref()
            .map_or(NonNull::dangling(), |region| region.address.cast())
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(region) = self.region.take() {
            self.pool.state().free.entry(region.length).or_default().push(region);
        }
    }
}

impl Pool {
    /// An empty pool of at most `limit` bytes.
    pub fn new(limit: usize) -> Arc<Pool> {
        Arc::new(Pool {
            limit,
            state: Mutex::default(),
        })
    }

    /// A block of at least `length` bytes, not zeroed; `None` where the pool is exhausted, or the system.
    pub fn take(self: &Arc<Pool>, length: usize) -> Option<Block> {
        let length = round_up(length)?;
        let mut state = self.state();
        let region = match state.reuse(length) {
            Some(region) => region,
            None => state.map(length, self.limit)?,
        };
        drop(state);
        Some(Block {
            pool: self.clone(),
            region: Some(region),
        })
    }

    /// Gives the system back what was not needed since the last call; true while there is more that is free.
    pub fn trim(&self) -> bool {
        let mut state = self.state();
        let State { mapped, free, unused } = &mut *state;
        for (length, regions) in free.iter_mut() {
            let count = unused.get(length).copied().unwrap_or(0).min(regions.len());
            *mapped -= count * length;
            // Those at the start were given back first.
            regions.drain(..count);
        }
        free.retain(|_, regions| !regions.is_empty());
        *unused = free.iter().map(|(&length, regions)| (length, regions.len())).collect();
        !free.is_empty()
    }

    /// Bytes mapped: those of the blocks given out, and of free ones.
    pub fn mapped(&self) -> usize {
        self.state().mapped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The free region of this length that was used last.
    fn reuse(&mut self, length: usize) -> Option<Region> {
        let regions = self.free.get_mut(&length)?;
        let region = regions.pop();
        let left = regions.len();
        if let Some(unused) = self.unused.get_mut(&length) {
            *unused = left.min(*unused);
        }
        region
    }

    /// A fresh region, in place of free ones of other lengths where the limit asks for that.
    fn map(&mut self, length: usize, limit: usize) -> Option<Region> {
        if length > limit {
            return None;
        }
        while self.mapped + length > limit {
            let mut entry = self.free.last_entry()?;
            match entry.get_mut().pop() {
                Some(region) => self.mapped -= region.length,
                None => drop(entry.remove()),
            }
        }
        let region = Region::new(length)?;
        self.mapped += length;
        Some(region)
    }
}

/// The length that a block of `length` bytes has.
fn round_up(length: usize) -> Option<usize> {
    let step = (length.checked_next_power_of_two()? / (2 * STEPS)).max(4096);
    length.max(1).checked_next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_block_given_back_is_given_out_again() {
        let pool = Pool::new(8 * MIB);
        let block = pool.take(MIB).unwrap();
        let address = block.address();
        drop(block);
        assert_eq!(pool.take(MIB).unwrap().address(), address);
        assert_eq!(pool.mapped(), MIB);
    }

    #[test]
    fn blocks_in_use_are_apart() {
        let pool = Pool::new(8 * MIB);
        let blocks: Vec<_> = (0..8).map(|_| pool.take(MIB).unwrap()).collect();
        for (index, block) in blocks.iter().enumerate() {
            // SAFETY: the block has so many bytes, and nobody else.
            unsafe { block.address().write_bytes(index as u8, MIB) };
        }
        for (index, block) in blocks.iter().enumerate() {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(block.address().as_ptr(), MIB) };
            assert!(bytes.iter().all(|&byte| byte == index as u8));
        }
    }

    #[test]
    fn no_more_than_the_limit_is_mapped() {
        let pool = Pool::new(4 * MIB);
        let blocks: Vec<_> = (0..4).map(|_| pool.take(MIB).unwrap()).collect();
        assert!(pool.take(MIB).is_none());
        drop(blocks);
        assert!(pool.take(3 * MIB).is_some());
        assert!(pool.mapped() <= 4 * MIB);
        assert!(pool.take(5 * MIB).is_none());
    }

    #[test]
    fn what_was_not_needed_between_two_trims_is_given_back_to_the_system() {
        let pool = Pool::new(8 * MIB);
        drop([pool.take(MIB).unwrap(), pool.take(MIB).unwrap()]);
        assert!(pool.trim());
        drop(pool.take(MIB).unwrap());
        assert!(pool.trim());
        assert_eq!(pool.mapped(), MIB);
        assert!(!pool.trim());
        assert_eq!(pool.mapped(), 0);
    }

    #[test]
    fn lengths_are_rounded_up_by_a_quarter_at_the_most() {
        for length in [1, 4096, 128 * 1024, MIB - 1, MIB, MIB + 1, 5 * MIB] {
            let rounded = round_up(length).unwrap();
            assert!(
                rounded >= length && (rounded - length) * 4 <= length.max(4 * 4096),
                "{length}: {rounded}"
            );
        }
        assert_eq!(round_up(usize::MAX), None);
    }

    #[test]
    fn a_block_may_outlive_its_pool_and_its_thread() {
        let block = std::thread::spawn(|| Pool::new(MIB).take(1000).unwrap())
            .join()
            .unwrap();
        // SAFETY: the block has so many bytes, and nobody else.
        unsafe { block.address().write_bytes(1, 1000) };
    }
}
