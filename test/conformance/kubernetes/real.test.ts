import { conformance } from './conformance.ts';
import { real } from './targets.ts';

conformance(real);
