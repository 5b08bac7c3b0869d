//! What a submission is about, in the 64 bits its completion brings back.

/// The meaning of a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A multishot receive on the socket `key`, in its `generation`-th opening.
    Receive {
        /// The socket.
        key: u32,
        /// Which opening of it, modulo 2^24.
        generation: u32,
    },
    /// The send of the packet in this slot.
    Send {
        /// The slot.
        slot: u16,
    },
    /// The mailbox rang.
    Wake,
    /// A cancellation took place or found nothing.
    Cancel,
}

/// Generations are counted modulo this.
pub(crate) const GENERATIONS: u32 = 1 << 24;

impl Token {
    /// The token as user data.
    pub(crate) fn encode(self) -> u64 {
        match self {
            Self::Receive { key, generation } => {
                RECEIVE << 56 | u64::from(generation % GENERATIONS) << 32 | u64::from(key)
            }
            Self::Send { slot } => SEND << 56 | u64::from(slot),
            Self::Wake => WAKE << 56,
            Self::Cancel => CANCEL << 56,
        }
    }

    /// The token in user data this program encoded; `None` for anything else.
    pub(crate) fn decode(data: u64) -> Option<Self> {
        let bytes = data.to_be_bytes();
        match u64::from(bytes[0]) {
            RECEIVE => Some(Self::Receive {
                key: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
                generation: u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]),
            }),
            SEND => Some(Self::Send { slot: u16::from_be_bytes([bytes[6], bytes[7]]) }),
            WAKE => Some(Self::Wake),
            CANCEL => Some(Self::Cancel),
            _ => None,
        }
    }
}

const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const WAKE: u64 = 3;
const CANCEL: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_survives(key: u32, generation in 0..GENERATIONS, slot: u16) {
            for token in [Token::Receive { key, generation }, Token::Send { slot }, Token::Wake, Token::Cancel] {
                prop_assert_eq!(Token::decode(token.encode()), Some(token));
            }
        }
    }

    #[test]
    fn foreign_user_data_is_no_token() {
        assert_eq!(Token::decode(0), None);
        assert_eq!(Token::decode(u64::MAX), None);
    }
}
