//! From where a host's key may be used: one address or one network.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An address, or a network `ADDRESS/BITS` whose address has no bit beyond its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network {
    address: IpAddr,
    bits: Option<u8>,
}

/// Why a text is no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongNetwork {
    /// No address.
    #[error("not an IPv4 or IPv6 address, or a network like 10.0.0.0/8")]
    Form,
    /// sshd refuses every key with such a network.
    #[error("a network whose address has bits beyond its mask")]
    HostBits,
    /// The whole world is said by naming nothing.
    #[error("a network of all addresses; leave it out to let a key be used from anywhere")]
    Everything,
    /// An address that no connection comes from.
    #[error("an address that no connection comes from")]
    NoSource,
}

impl FromStr for Network {
    type Err = WrongNetwork;

    /// Names are not looked up, patterns and exceptions are not known: what sshd is told is exactly one network.
    fn from_str(text: &str) -> Result<Self, WrongNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| WrongNetwork::Form)?;
        let mapped = matches!(address, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
        if address.is_unspecified() && bits.is_none() || address.is_multicast() || mapped {
            return Err(WrongNetwork::NoSource);
        }
        let bits = bits.map(|bits| mask(address, bits)).transpose()?;
        Ok(Self { address, bits })
    }
}

fn mask(address: IpAddr, text: &str) -> Result<u8, WrongNetwork> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    let bits: u8 = text.parse().map_err(|_| WrongNetwork::Form)?;
    let (width, beyond) = match address {
        IpAddr::V4(four) => {
            (32, u32::MAX.checked_shr(bits.into()).is_some_and(|mask| four.to_bits() & mask != 0))
        }
        IpAddr::V6(six) => (128, beyond_six(six, bits)),
    };
    match () {
        () if !digits || !canonical || bits > width => Err(WrongNetwork::Form),
        () if bits == 0 => Err(WrongNetwork::Everything),
        () if beyond => Err(WrongNetwork::HostBits),
        () => Ok(bits),
    }
}

fn beyond_six(six: Ipv6Addr, bits: u8) -> bool {
    u128::MAX.checked_shr(bits.into()).is_some_and(|mask| six.to_bits() & mask != 0)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits {
            Some(bits) => write!(f, "{}/{bits}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_kept_in_one_form() {
        for (text, kept) in [
            ("10.77.0.11", "10.77.0.11"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1/32", "10.0.0.1/32"),
            ("FD00:0::0:1", "fd00::1"),
            ("fd00::/8", "fd00::/8"),
            ("2001:db8::1/128", "2001:db8::1/128"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), kept);
            assert_eq!(kept.parse::<Network>().unwrap(), network);
        }
    }

    #[test]
    fn what_sshd_could_read_another_way_is_refused() {
        use WrongNetwork::{Everything, Form, HostBits, NoSource};
        for (bad, why) in [
            ("", Form),
            ("*", Form),
            ("10.0.0.*", Form),
            ("!10.0.0.1", Form),
            ("web01", Form),
            ("10.0.0", Form),
            ("010.0.0.1", Form),
            ("10.0.0.1 ", Form),
            ("10.0.0.1,10.0.0.2", Form),
            ("10.0.0.1\" ssh-rsa", Form),
            ("10.0.0.1\n", Form),
            ("10.0.0.1:22", Form),
            ("[::1]", Form),
            ("fe80::1%eth0", Form),
            ("10.0.0.0/33", Form),
            ("10.0.0.0/", Form),
            ("10.0.0.0/08", Form),
            ("10.0.0.0/+8", Form),
            ("10.0.0.0/8/8", Form),
            ("10.0.0.0/255.0.0.0", Form),
            ("fd00::/129", Form),
            ("10.0.0.1/24", HostBits),
            ("fd00::1/64", HostBits),
            ("0.0.0.0/0", Everything),
            ("::/0", Everything),
            ("0.0.0.0", NoSource),
            ("::", NoSource),
            ("224.0.0.1", NoSource),
            ("ff02::1", NoSource),
            ("::ffff:10.0.0.1", NoSource),
        ] {
            assert_eq!(bad.parse::<Network>(), Err(why), "{bad:?}");
        }
    }
}
