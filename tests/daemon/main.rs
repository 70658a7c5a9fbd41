//! The real daemon as real processes: started, used, killed, refused.

mod cluster;
mod durability;
mod http;
mod manners;
mod sync;
