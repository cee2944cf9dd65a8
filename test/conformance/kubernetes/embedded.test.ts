import { conformance } from './conformance.ts';
import { embedded } from './targets.ts';

conformance(embedded);
