import { errors } from '../status.ts';

/** The forms in which an answer can be given. */
export type Form =
  { readonly as: 'object' } | { readonly as: 'table' } | { readonly as: 'partial' } | { readonly as: 'discovery' };

export interface Negotiated {
  readonly form: Form['as'];
  readonly encoding: 'json' | 'yaml';
}

/** Picks the first media type of an Accept header that this server can answer; 406 where there is none. */
export function negotiate(accept: string | undefined): Negotiated {
  if (accept === undefined || accept.trim() === '') return { form: 'object', encoding: 'json' };
  for (const item of accept.split(',')) {
    const [type = '', ...parameters] = item.split(';').map((part) => part.trim());
    const options = new Map(parameters.map((part) => part.split('=', 2) as [string, string]));
    const encoding = encodingOf(type);
    if (encoding === undefined) continue;
    const form = formOf(options);
    if (form !== undefined) return { form, encoding };
  }
  throw errors.notAcceptable();
}

function encodingOf(type: string): Negotiated['encoding'] | undefined {
  switch (type) {
    case 'application/json':
    case 'application/*':
    case '*/*':
      return 'json';
    case 'application/yaml':
      return 'yaml';
    default:
      return undefined;
  }
}

function formOf(options: ReadonlyMap<string, string>): Form['as'] | undefined {
  const group = options.get('g');
  switch (options.get('as')) {
    case undefined:
      return 'object';
    case 'Table':
      return group === 'meta.k8s.io' && options.get('v') === 'v1' ? 'table' : undefined;
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      return group === 'meta.k8s.io' && options.get('v') === 'v1' ? 'partial' : undefined;
    case 'APIGroupDiscoveryList':
      return group === 'apidiscovery.k8s.io' && options.get('v') === 'v2' ? 'discovery' : undefined;
    default:
      return undefined;
  }
}
