//! What the snapshotter promises, each promise a test against the real program.

mod damage;
mod hostile;
mod hosts;
mod kill;
mod push;
mod state;
mod stories;
mod verify;
mod world;
