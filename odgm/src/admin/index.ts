/** Administration of the grid: what exists, where it lies, how it does. */
export { AdminAccess } from './access.ts';
export { Audit, logAuditSink } from './audit.ts';
export { Collections } from './collections.ts';
export { DeadLetters } from './dead-letters.ts';
export { gridAdminService } from './grid-admin.ts';
export { createAdminHttp } from './http.ts';
export { settingsSchema } from './settings.ts';
export { shardDistribution } from './view.ts';
export { Tasks } from './tasks.ts';
export { VersionHolders } from './version-holders.ts';
