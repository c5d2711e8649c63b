//! One push: from the server's first word to its verdict. Speaks through two descriptors and knows nothing of what carries them.

mod account;
mod changes;
mod contents;
mod converse;
mod describe;
mod dumps;
mod elsewhere;
mod error;
mod job;
mod learn;
mod offers;
mod packer;
mod phases;
mod press;
mod preview;
mod produce;
mod reading;
mod record;
mod rehash;
mod remembered;
mod scan;
mod sender;
mod session;
mod subtrees;

pub use account::{Account, Count};
pub use converse::push;
pub use error::PushError;
pub use job::{Delivery, Job, Outcome};
pub use phases::Phase;
pub use press::Level;
pub use preview::{Difference, Preview, preview};
pub use session::{Session, Warning, greet};
