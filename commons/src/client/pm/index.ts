export * from './schemas.ts';
export { createPmClient, PmError, type Page, type PmClient, type PmClientOptions, type ListQuery } from './client.ts';
