//! What happens to people: each story a test, told with the real client over a real sshd.

mod adopted;
mod attacks;
mod crowd;
mod cuts;
mod dedicated;
mod disks;
mod losses;
mod many_cuts;
mod queues;
mod refusals;
mod retired;
mod rot;
mod sequences;
mod sources;
mod two_hosts;
mod ways;
mod world;
