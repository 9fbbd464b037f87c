import { testPart } from './part.ts'

testPart('receives')
