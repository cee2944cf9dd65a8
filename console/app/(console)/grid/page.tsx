import type { Metadata } from 'next';
import { GridsPage } from '../../../src/features/grid/choose-page.tsx';

export const metadata: Metadata = { title: 'Grid' };

export default function Page() {
  return <GridsPage />;
}
