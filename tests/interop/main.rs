//! Whole calls with peers that we did not write.
#![forbid(unsafe_code)]

mod kamailio;
mod ng_differential;
mod sipp_alone;
