import type { Metadata } from 'next';
import { PackagesPage } from '../../../src/features/packages/list-page.tsx';

export const metadata: Metadata = { title: 'Packages' };

export default function Page() {
  return <PackagesPage />;
}
