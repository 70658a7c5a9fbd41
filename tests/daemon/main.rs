//! The real daemon as real processes: started, used, killed, refused.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod cluster;
mod durability;
mod http;
mod manners;
mod sync;
