use crate::platform::kq;

/// One event of a kqueue, as change or as result (`select.kevent`). Ordered by its fields from first to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KEvent {
    /// What is watched, usually a descriptor.
    pub ident: usize,
    /// Kind of event, `KQ_FILTER_*`.
    pub filter: i16,
    /// What to do with it, or its state, `KQ_EV_*`.
    pub flags: u16,
    /// The filter's own flags, `KQ_NOTE_*`.
    pub fflags: u32,
    /// The filter's own data.
    pub data: i64,
    /// The caller's.
    pub udata: isize,
}

impl Default for KEvent {
    /// Python's defaults: adds a `READ` filter.
    fn default() -> Self {
        Self {
            ident: 0,
            filter: kq::EVFILT_READ,
            flags: kq::EV_ADD,
            fflags: 0,
            data: 0,
            udata: 0,
        }
    }
}

/// From six numbers in the order of the fields, which the caller has checked to fit.
impl From<[f64; 6]> for KEvent {
    fn from([ident, filter, flags, fflags, data, udata]: [f64; 6]) -> Self {
        Self {
            ident: ident as usize,
            filter: filter as i16,
            flags: flags as u16,
            fflags: fflags as u32,
            data: data as i64,
            udata: udata as isize,
        }
    }
}

/// The fields in their order; those of 64 bits are exact up to 2^53.
impl From<KEvent> for [f64; 6] {
    fn from(event: KEvent) -> Self {
        [
            event.ident as f64,
            f64::from(event.filter),
            f64::from(event.flags),
            f64::from(event.fflags),
            event.data as f64,
            event.udata as f64,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_whole_range_of_the_fields() {
        let event = KEvent {
            ident: 0x7fff_ffff,
            filter: -11,
            flags: 0xffff,
            fflags: 0xffff_ffff,
            data: -1,
            udata: -(1 << 52),
        };
        assert_eq!(KEvent::from(<[f64; 6]>::from(event)), event);
    }

    #[test]
    fn every_field_takes_part_in_the_order_the_first_ones_first() {
        let base = KEvent {
            ident: 1,
            filter: -1,
            flags: 1,
            fflags: 1,
            data: 1,
            udata: 1,
        };
        let ascending = [
            KEvent { udata: 0, ..base },
            base,
            KEvent { udata: 2, ..base },
            KEvent {
                data: 2,
                udata: 0,
                ..base
            },
            KEvent {
                fflags: 2,
                data: 0,
                ..base
            },
            KEvent {
                flags: 2,
                fflags: 0,
                ..base
            },
            KEvent {
                filter: 0,
                flags: 0,
                ..base
            },
            KEvent {
                ident: 2,
                filter: -2,
                ..base
            },
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
        assert_eq!(base, base.clone());
        assert_ne!(base, ascending[0]);
    }

    #[test]
    fn data_and_udata_may_be_negative() {
        assert!(
            KEvent {
                data: -1,
                ..KEvent::default()
            } < KEvent::default()
        );
        assert!(
            KEvent {
                udata: -1,
                ..KEvent::default()
            } < KEvent::default()
        );
    }
}
