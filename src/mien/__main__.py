from mien.cli import main

if __name__ == "__main__":  # a process of an engine imports this file again under another name
    main()
