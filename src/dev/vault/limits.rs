//! Service limits: so many transactions in ten seconds, and 429 for more.
//!
//! Azure counts per vault and weighs: of what a limit allows, a transaction takes its share, and
//! the shares of all kinds of key add up. What is throttled does not count.
//!
//! Source: <https://learn.microsoft.com/azure/key-vault/general/service-limits>.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::failure::Failure;

/// Azure: the seconds in which transactions are counted.
const WINDOW_SECONDS: i64 = 10;

/// What all transactions of a kind may take together.
const WHOLE: u64 = 1_000_000_000;

/// Transactions in ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceLimits {
    /// With keys in software.
    pub software_keys: KeyLimits,
    /// With keys in hardware.
    pub hardware_keys: KeyLimits,
    /// Setting secrets, importing keys and certificates.
    pub writes: u32,
    /// Everything else that is not done with a key.
    pub others: u32,
    /// Whether a 429 says when to come back. Observed ones of the service do not.
    pub retry_after: bool,
}

/// Transactions with keys in ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimits {
    /// Keys made, of any kind.
    pub create: u32,
    /// Other transactions with RSA of 2048 bits and every curve.
    pub ordinary: u32,
    /// Other transactions with RSA of 3072 bits.
    pub rsa_3072: u32,
    /// Other transactions with RSA of 4096 bits.
    pub rsa_4096: u32,
}

impl ServiceLimits {
    /// The limits as documented, with `Retry-After`.
    pub const DOCUMENTED: Self = Self {
        software_keys: KeyLimits {
            create: 20,
            ordinary: 4000,
            rsa_3072: 1000,
            rsa_4096: 500,
        },
        hardware_keys: KeyLimits {
            create: 10,
            ordinary: 2000,
            rsa_3072: 500,
            rsa_4096: 250,
        },
        writes: 300,
        others: 4000,
        retry_after: true,
    };

    fn limit(&self, transaction: Transaction) -> u32 {
        let of = |hardware| match hardware {
            true => &self.hardware_keys,
            false => &self.software_keys,
        };
        match transaction {
            Transaction::CreateKey { hardware } => of(hardware).create,
            Transaction::UseKey(weight) => {
                let limits = of(weight.hardware);
                match weight.rsa_bits {
                    Some(3072) => limits.rsa_3072,
                    Some(4096) => limits.rsa_4096,
                    Some(_) | None => limits.ordinary,
                }
            }
            Transaction::Write => self.writes,
            Transaction::Other => self.others,
        }
    }
}

/// What makes a key dear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) hardware: bool,
    /// Bits of the modulus; `None` for curves.
    pub(super) rsa_bits: Option<usize>,
}

/// One thing a client wants done, as the limits see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transaction {
    CreateKey { hardware: bool },
    UseKey(Weight),
    Write,
    Other,
}

/// What of a body that makes a key matters here.
#[derive(Deserialize)]
struct KeyType {
    kty: Box<str>,
}

impl Transaction {
    /// Making the key that `body` describes.
    pub(super) fn create_key(body: &[u8]) -> Self {
        let kind = serde_json::from_slice::<KeyType>(body);
        Self::CreateKey {
            hardware: kind.is_ok_and(|kind| kind.kty.ends_with("-HSM")),
        }
    }

    /// Which transactions share a limit: all that make keys, all that use them, and so on.
    const fn kind(self) -> usize {
        match self {
            Self::CreateKey { .. } => 0,
            Self::UseKey(_) => 1,
            Self::Write => 2,
            Self::Other => 3,
        }
    }
}

#[derive(Debug, Default)]
struct Window {
    limits: Option<ServiceLimits>,
    /// Which ten seconds since 1970.
    number: i64,
    /// What the transactions of each kind took.
    taken: [u64; 4],
}

/// Counts transactions against limits that can be changed at any time.
#[derive(Debug)]
pub(super) struct Meter(Mutex<Window>);

impl Meter {
    pub(super) fn new(limits: Option<ServiceLimits>) -> Self {
        Self(Mutex::new(Window {
            limits,
            ..Window::default()
        }))
    }

    /// Puts other limits in place and begins to count anew.
    pub(super) fn limit(&self, limits: Option<ServiceLimits>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Window {
            limits,
            ..Window::default()
        };
    }

    /// Counts a transaction, or refuses it with 429.
    pub(super) fn count(&self, transaction: Transaction, now: i64) -> Result<(), Failure> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limits) = window.limits else {
            return Ok(());
        };
        let number = now.div_euclid(WINDOW_SECONDS);
        if window.number != number {
            window.number = number;
            window.taken = [0; 4];
        }
        let share = WHOLE.checked_div(u64::from(limits.limit(transaction)));
        let taken = window.taken.get_mut(transaction.kind());
        match (taken, share) {
            (Some(taken), Some(share)) if *taken + share <= WHOLE => {
                *taken += share;
                Ok(())
            }
            (Some(_) | None, Some(_) | None) => {
                let wait = (number + 1) * WINDOW_SECONDS - now;
                Err(Failure::throttled(limits.retry_after.then_some(wait)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Transaction = Transaction::UseKey(Weight {
        hardware: false,
        rsa_bits: Some(2048),
    });
    const LARGE: Transaction = Transaction::UseKey(Weight {
        hardware: true,
        rsa_bits: Some(4096),
    });

    fn allowed(meter: &Meter, transaction: Transaction, now: i64) -> usize {
        (0..10_000)
            .take_while(|_| meter.count(transaction, now).is_ok())
            .count()
    }

    #[test]
    fn the_documented_number_is_done_in_ten_seconds_and_again_in_the_next() {
        let meter = Meter::new(Some(ServiceLimits::DOCUMENTED));
        for (transaction, documented) in [
            (SMALL, 4000),
            (Transaction::CreateKey { hardware: true }, 10),
            (Transaction::Write, 300),
            (Transaction::Other, 4000),
        ] {
            assert_eq!(allowed(&meter, transaction, 100), documented);
            assert_eq!(allowed(&meter, transaction, 109), 0);
        }
        assert_eq!(allowed(&meter, LARGE, 110), 250);
    }

    #[test]
    fn transactions_with_keys_add_up_by_their_weight() {
        let meter = Meter::new(Some(ServiceLimits::DOCUMENTED));
        for _ in 0..125 {
            meter.count(LARGE, 0).unwrap();
        }
        assert_eq!(allowed(&meter, SMALL, 0), 2000);
    }

    #[test]
    fn a_limit_of_nothing_lets_nothing_through_and_no_limit_everything() {
        let none = KeyLimits {
            create: 0,
            ordinary: 0,
            rsa_3072: 0,
            rsa_4096: 0,
        };
        let meter = Meter::new(Some(ServiceLimits {
            software_keys: none,
            ..ServiceLimits::DOCUMENTED
        }));
        assert_eq!(allowed(&meter, SMALL, 0), 0);
        meter.limit(None);
        assert_eq!(allowed(&meter, SMALL, 0), 10_000);
    }

    #[test]
    fn the_kind_of_key_is_read_from_the_body() {
        let hardware = |body: &str| Transaction::create_key(body.as_bytes());
        assert_eq!(
            hardware(r#"{"kty":"EC-HSM"}"#),
            Transaction::CreateKey { hardware: true }
        );
        for body in [r#"{"kty":"EC"}"#, "{}", "no"] {
            assert_eq!(hardware(body), Transaction::CreateKey { hardware: false });
        }
    }
}
