import { readFile } from 'node:fs/promises';
import { oaasError, toOaasError } from '../errors/index.ts';

/** Paths of PEM files. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities that the other side's certificate must come from. On a server it makes client certificates mandatory. */
  readonly caFile?: string | undefined;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/** Reads the files. Rejects with `ConfigInvalid` naming the one that is missing, unreadable or no PEM. */
export async function loadTls(files: TlsFiles): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    readPem('certificate', files.certFile),
    readPem('key', files.keyFile),
    files.caFile === undefined ? undefined : readPem('certificate authority', files.caFile),
  ]);
  return { cert, key, ...(ca === undefined ? {} : { ca }) };
}

async function readPem(what: string, file: string): Promise<Buffer> {
  const content = await readFile(file).catch((error: unknown) => {
    throw oaasError('ConfigInvalid', `the TLS ${what} ${file} cannot be read: ${toOaasError(error).message}`, {
      remedy: 'Check the path and the rights of the file.',
      cause: error,
    });
  });
  if (content.includes('-----BEGIN ')) return content;
  throw oaasError('ConfigInvalid', `the TLS ${what} ${file} is not a PEM file`, {
    remedy: 'Convert the file to PEM.',
  });
}
