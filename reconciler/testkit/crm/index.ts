/** A stand-in for a CRM: its gRPC services over records in memory. For tests of PM. */
export { type FakeCrm, type FakeCrmOptions, startFakeCrm } from './fake-crm.ts';
