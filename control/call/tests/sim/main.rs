//! Whole calls in virtual time: scripted phones and carriers, a model store, model engines.

mod answer;
mod basic;
mod browsers;
mod engine;
mod media;
mod modify;
mod peer;
mod phones;
mod random;
mod rating;
mod recover;
mod refuse;
mod release;
mod speech;
mod store;
mod trunk;
mod world;
