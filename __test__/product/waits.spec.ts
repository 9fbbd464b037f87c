import { testPart } from './part.ts'

testPart('waits')
