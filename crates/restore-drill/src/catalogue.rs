//! The catalogue of an ice: its record, signed by the server that made it, and sealed. Without it anybody who may put into a vault could lay
//! ice there.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use cli::{Exit, Failed, Failure, shown};
use formats::ContentHash;
use formats::records::ice::ICE_RECORD_BYTES;
use formats::records::ice_id::{Fingerprint, IceId};
use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::CertParser;
use sequoia_openpgp::parse::Parse;
use vault::VaultError;

use crate::key::Secrets;
use crate::shelf::{Shelf, exit_while_reading, while_reading};
use crate::unseal::{UnsealError, Wanted, unseal};

/// Longest catalogue: a record, and what sealing adds.
const CATALOGUE_BYTES_MAX: u64 = ICE_RECORD_BYTES as u64 + (1 << 20);
/// Longest file of a certificate.
const CERTIFICATE_BYTES_MAX: u64 = 1 << 20;

/// Why the ice is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogueError {
    #[error("{object}: failed to fetch it")]
    Fetch { object: String, source: io::Error },
    #[error("{object} is longer than any catalogue")]
    TooLong { object: String },
    #[error("{object}")]
    Unseal { object: String, source: UnsealError },
    #[error("{object} is the catalogue of another record")]
    Other { object: String },
    #[error("the server's certificate {}", shown(.path.as_os_str().as_encoded_bytes()))]
    Certificate { path: PathBuf, source: io::Error },
}

impl Failure for CatalogueError {
    fn exit(&self) -> Exit {
        match self {
            CatalogueError::Fetch { source, .. } => exit_while_reading(source),
            CatalogueError::TooLong { .. } => Exit::DECRYPTION,
            CatalogueError::Unseal { source, .. } => source.exit(),
            CatalogueError::Other { .. } => Exit::UNSIGNED,
            CatalogueError::Certificate { .. } => Exit::USAGE,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            CatalogueError::Fetch { source, .. } => while_reading(source).and_then(VaultError::advice),
            CatalogueError::Unseal { source: UnsealError::Unsigned { .. }, .. } => Some(
                "somebody else may have laid this ice there: another one or another vault may hold what the server made; see also whether the clock of this machine is right".to_owned(),
            ),
            CatalogueError::Unseal { source: UnsealError::OtherKey { .. }, .. } => {
                Some("name the file of one of these keys with --key".to_owned())
            }
            CatalogueError::Certificate { .. } => {
                Some("it is signing-key.asc beside the server's ledger".to_owned())
            }
            _ => None,
        }
    }
}

/// The certificates of the servers that are believed.
pub(crate) fn servers(files: &[PathBuf]) -> Result<Vec<Cert>, CatalogueError> {
    let mut servers = Vec::new();
    for path in files {
        let failed = |source| CatalogueError::Certificate { path: path.clone(), source };
        let all = read(path).map_err(failed)?;
        // An empty list would mean that any signature will do.
        if all.is_empty() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it holds no certificate")));
        }
        servers.extend(all);
    }
    Ok(servers)
}

fn read(path: &Path) -> io::Result<Vec<Cert>> {
    let parser = CertParser::from_reader(File::open(path)?.take(CERTIFICATE_BYTES_MAX));
    let certs: Result<Vec<Cert>, _> = parser.and_then(Iterator::collect);
    certs.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// Compares the record's bytes with the catalogue, whose signature is checked if there are `servers`; gives back who signed it.
pub(crate) fn check(
    shelf: &Shelf,
    ice: &IceId,
    record: &[u8],
    secrets: &Secrets,
    servers: &[Cert],
) -> Result<Option<Fingerprint>, Failed> {
    let object = ice.catalogue_object();
    let mut sealed = Vec::new();
    let from = shelf.fetch(&object)?.take(CATALOGUE_BYTES_MAX + 1).read_to_end(&mut sealed);
    from.map_err(|source| CatalogueError::Fetch { object: object.clone(), source })?;
    let bytes = sealed.len() as u64;
    if bytes > CATALOGUE_BYTES_MAX {
        return Err(CatalogueError::TooLong { object }.into());
    }
    let wanted = (secrets, Wanted::Catalogue(servers));
    let opened = unseal(Cursor::new(sealed), bytes, record.len() as u64, wanted, &mut io::sink());
    match opened {
        Ok(opened) if opened.hash == ContentHash::of(record) => Ok(opened.signer),
        Ok(_) | Err(UnsealError::Length { .. }) => Err(CatalogueError::Other { object }.into()),
        Err(source) => Err(CatalogueError::Unseal { object, source }.into()),
    }
}
