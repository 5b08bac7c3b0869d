//! Whole calls with peers that we did not write.
#![forbid(unsafe_code)]

mod books;
mod certificates;
mod connect;
mod crash;
mod crash_lease;
mod drain;
mod durable;
mod first_provider;
mod hearers;
mod hostile;
mod kamailio;
mod kamailio_dialogs;
mod kamailio_quality;
mod limits;
mod metrics;
mod moving_over;
mod ng_cli;
mod ng_differential;
mod ng_streams;
mod paid_answered;
mod paid_carriers;
mod paid_modified;
mod paid_pressure;
mod paid_provider;
mod paid_refused;
mod phones;
mod quality;
mod recording;
mod reload;
mod shutdown;
mod sipp_alone;
mod spray;
mod stranger;
mod totals;
mod wire;
