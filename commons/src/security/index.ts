/** Who may do what, how secrets are compared, what the audit keeps, and where TLS material comes from. */
export {
  type Action,
  decide,
  type Decision,
  type Grant,
  isRole,
  type Resource,
  type Role,
  roles,
  type Subject,
} from './policy.ts';
export { parseBearer, secretsEqual } from './token.ts';
export type { AuditRecord, AuditSink } from './audit.ts';
export { loadTls, type TlsFiles, type TlsMaterial } from './tls.ts';
