//! DTLS-SRTP in virtual time: our ends against each other, and against those who mean no good.

mod clock;
mod hostile;
mod net;
mod pairs;
