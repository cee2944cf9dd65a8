import type { Metadata } from 'next';
import { SourcesPage } from '../../../src/features/sources/list-page.tsx';

export const metadata: Metadata = { title: 'Sources' };

export default function Page() {
  return <SourcesPage />;
}
