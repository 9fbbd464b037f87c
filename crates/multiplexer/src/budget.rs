/// Bytes one source may move in one turn of the reactor.
const LIMIT: usize = 1 << 20;

/// What an operation costs beside its bytes, so that many tiny ones are bounded too.
const OPERATION: usize = 4096;

/// How much one source has done in this turn of the reactor: fairness between sources.
///
/// A source that runs out stops and calls [`Reactor::resume`](crate::Reactor::resume), so that the others, and everything
/// else on the thread, get their turn first.
#[derive(Debug, Default)]
pub struct Budget {
    turn: u64,
    spent: usize,
}

impl Budget {
    /// A full budget.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records an operation of `bytes` in `turn`; a new turn starts with a full budget.
    /// False once 1 MiB went in this turn (each operation costs its bytes + 4096): stop and resume later.
    pub fn spend(&mut self, turn: u64, bytes: usize) -> bool {
        if self.turn != turn {
            *self = Self { turn, spent: 0 };
        }
        self.spent = self.spent.saturating_add(bytes).saturating_add(OPERATION);
        self.spent < LIMIT
    }

    /// Whether nothing is left of it in `turn`.
    pub fn exhausted(&self, turn: u64) -> bool {
        self.turn == turn && self.spent >= LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_operations_use_it_up_and_the_next_turn_restores_it() {
        let mut budget = Budget::new();
        assert!(budget.spend(7, 512 << 10));
        assert!(!budget.spend(7, 512 << 10));
        assert!(!budget.spend(7, 0));
        assert!(budget.exhausted(7));
        assert!(!budget.exhausted(8));
        assert!(budget.spend(8, 512 << 10));
    }

    #[test]
    fn empty_operations_use_it_up_too() {
        let mut budget = Budget::new();
        let granted = (0..10_000).take_while(|_| budget.spend(0, 0)).count();
        assert_eq!(granted, LIMIT / OPERATION - 1);
    }

    #[test]
    fn it_does_not_overflow() {
        let mut budget = Budget::new();
        assert!(!budget.spend(1, usize::MAX));
        assert!(!budget.spend(1, usize::MAX));
    }
}
