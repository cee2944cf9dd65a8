import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const program = 'openssl';

/**
 * Writes an authority (`ca.pem`, `ca.key`) and certificates of it for 127.0.0.1 and localhost (`<name>.pem`,
 * `<name>.key`) into `dir`. Needs openssl on PATH.
 */
export function issueCertificates(dir: string, names: readonly string[]): void {
  const openssl = (...args: string[]): void => {
    execFileSync(program, args, { cwd: dir, stdio: 'ignore' });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
  writeFileSync(join(dir, 'names.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  for (const name of names) {
    openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names.cnf'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`);
  }
}
