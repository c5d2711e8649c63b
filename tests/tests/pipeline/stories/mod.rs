//! What happens to people: each story a test, told with the real client over a real sshd.

mod adopted;
mod cuts;
mod dedicated;
mod disks;
mod losses;
mod queues;
mod refusals;
mod retired;
mod sources;
mod ways;
mod world;
